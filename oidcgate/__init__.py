"""OpenID Connect in front of any app: `Gate` around a WSGI app, `AsyncGate` around an ASGI app.

`Identity` is what the app reads; `ReverseProxy` stands in for an app that runs elsewhere.

The public names, loaded when first asked for (PEP 562), so that one room can be imported without the others.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oidcgate.gate.asgi import AsyncGate
    from oidcgate.gate.wsgi import Gate
    from oidcgate.identity import Identity
    from oidcgate.proxy.wsgi import ReverseProxy

__all__ = ["AsyncGate", "Gate", "Identity", "ReverseProxy"]

_HOMES = {
    "AsyncGate": "oidcgate.gate.asgi",
    "Gate": "oidcgate.gate.wsgi",
    "Identity": "oidcgate.identity",
    "ReverseProxy": "oidcgate.proxy.wsgi",
}
# What the core does without.
_EXTRAS = {"httptools": "serve"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        module = import_module(home)
    except ModuleNotFoundError as missing:
        extra = _EXTRAS.get(missing.name or "")
        if extra is None:
            raise
        raise ImportError(f"{name} needs {missing.name}: pip install 'oidcgate[{extra}]'") from missing
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
