"""`oidcgate-provider`, also as `python -m provider`. The commands are `provider.cli`."""

import sys

from provider import EXTRA, NEEDS_EXTRA

try:
    from provider.cli.main import main
except ModuleNotFoundError as error:
    if error.name not in EXTRA:
        raise
    sys.exit(f"oidcgate-provider: {NEEDS_EXTRA}")

__all__ = ["main"]

if __name__ == "__main__":
    main(prog_name="oidcgate-provider")
