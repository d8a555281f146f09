"""What the documentation says is what there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("training/*.md"),
                *ROOT.glob("mace_gov/embedded/*.md")])


def test_the_cli_reference_is_current():
    done = subprocess.run([sys.executable, "docs/generate_cli.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    broken = [t for t in targets if not re.match(r"[a-z]+:", t) and not (page.parent / t).exists()]
    assert not broken


def test_the_readme_names_only_commands_and_options_that_exist():
    reference = (ROOT / "docs/cli.md").read_text()
    readme = (ROOT / "README.md").read_text()
    for command in re.findall(r"^    mace-gov ([a-z-]+)", readme, re.M):
        assert f"`mace-gov {command}`" in reference
    for option in re.findall(r"(--[a-z-]+)", "\n".join(re.findall(r"^    mace-gov .*$", readme, re.M))):
        assert f"`{option}" in reference
