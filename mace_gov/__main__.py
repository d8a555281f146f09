"""``python -m mace_gov``, where the console script is not on the path."""

import sys
from pathlib import Path


def _leave_working_folder() -> None:
    """Take the working folder, which ``-m`` puts first, off ``sys.path``, unless this package lies below it."""
    here = Path.cwd()
    if not Path(__file__).resolve().is_relative_to(here.resolve()):
        sys.path[:] = [each for each in sys.path if each and Path(each) != here]


if __name__ == "__main__":
    _leave_working_folder()

    from mace_gov.cli import main

    main()
