"""`python -m oidcgate` and the console script of that name; the commands are in `oidcgate.cli`."""

from oidcgate.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main(prog_name="oidcgate")
