"""`python -m nightdrop` is the `nightdrop` command."""

from nightdrop.cli import main

if __name__ == "__main__":
    main()
