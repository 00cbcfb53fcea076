"""OpenID Connect in front of any app: `Gate` around a WSGI app, `Identity` for the app to read.

The public names, loaded when first asked for (PEP 562), so that one room can be imported without the others.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oidcgate.gate.wsgi import Gate
    from oidcgate.identity import Identity

__all__ = ["Gate", "Identity"]

_HOMES = {"Gate": "oidcgate.gate.wsgi", "Identity": "oidcgate.identity"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
