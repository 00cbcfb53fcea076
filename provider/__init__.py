"""An OpenID Provider and OAuth 2.0 authorization server."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provider.app import Provider

__all__ = ["Provider"]


def __getattr__(name: str) -> Any:
    # On demand (PEP 562), so that one room can be imported without the whole.
    if name == "Provider":
        try:
            from provider.app import Provider
        except ModuleNotFoundError as error:
            if (error.name or "").startswith(("provider", "oidcgate")):
                raise
            raise ImportError(f"Provider needs {error.name}: pip install 'oidcgate[provider]'") from error
        return Provider
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
