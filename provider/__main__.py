"""`oidcgate-provider`, also as `python -m provider`. The commands are `provider.cli`."""

import sys

try:
    from provider.cli.main import main
except ModuleNotFoundError as error:
    if (error.name or "").startswith(("provider", "oidcgate")):
        raise
    # The gate can be installed alone, and its distribution has this command too.
    sys.exit(f"oidcgate-provider needs {error.name}: pip install 'oidcgate[serve,provider]'")

__all__ = ["main"]

if __name__ == "__main__":
    main(prog_name="oidcgate-provider")
