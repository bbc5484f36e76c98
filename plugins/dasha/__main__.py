"""Run the command line as ``python -m dasha``."""

from dasha.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
