"""Write docs/cli.md from the command tree itself. `python docs/generate_cli.py --check` says whether it is current."""

import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).with_name("cli.md")


def reference() -> str:
    """The command line reference as Markdown, by Typer's own generator."""
    command = [sys.executable, "-m", "typer", "mace_gov.cli.app", "utils", "docs", "--name", "mace-gov"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=TARGET.parents[1]).stdout
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


if __name__ == "__main__":
    made = reference()
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == made else "docs/cli.md is out of date: run `make docs`")
    TARGET.write_text(made, encoding="utf-8")
