"""`python -m mace_gov` in a folder that somebody else filled."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_nothing_is_imported_from_the_working_folder(tmp_path):
    for name in ("json", "yaml", "typer", "rich", "pydantic"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w').close()\n")
    done = subprocess.run([sys.executable, "-m", "mace_gov", "policy", "lint", str(ROOT / "policies/nsfw.yaml")],
                          cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "pwned").exists()
