"""`python -m surefoot.cli`: the command line of this very interpreter."""

from surefoot.cli.root import main

if __name__ == "__main__":
    main()
