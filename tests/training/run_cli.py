"""The command line, for tests that need it in processes of its own."""

from dvmsr.cli import main

if __name__ == "__main__":
    main()
