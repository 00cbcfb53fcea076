"""An OpenID Provider and OAuth 2.0 authorization server."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from provider.app import Provider

__all__ = ["Provider"]

#: What the extra `[provider]` installs, by import name.
EXTRA: Final = frozenset({"alembic", "argon2"})
NEEDS_EXTRA: Final = "the provider needs more than the gate does: pip install 'oidcgate[serve,provider]'"


def __getattr__(name: str) -> Any:
    # On demand (PEP 562), so that one room can be imported without the whole.
    if name == "Provider":
        try:
            from provider.app import Provider
        except ModuleNotFoundError as error:
            if error.name not in EXTRA:
                raise
            raise ImportError(NEEDS_EXTRA) from error
        return Provider
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
