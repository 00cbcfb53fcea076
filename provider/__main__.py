"""`oidcgate-provider`, also as `python -m provider`. The commands are `provider.cli`."""

from provider.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main(prog_name="oidcgate-provider")
