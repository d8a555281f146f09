"""``python -m mace_gov``, where the console script is not on the path."""

from mace_gov.cli import main

if __name__ == "__main__":
    main()
