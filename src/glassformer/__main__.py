"""Run the command line: python -m glassformer."""

from glassformer.cli.app import main

if __name__ == "__main__":
    main()
