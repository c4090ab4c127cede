"""`python -m service`: the `conclave` command."""

from service.cli import main

if __name__ == "__main__":
    main()
