"""``python -m dvmsr``: the command line."""

from dvmsr.cli import main

if __name__ == "__main__":
    main()
