"""What follows from the settings of a client alone, wherever it is written. Pure.

Asked of `provider.client_settings`, while they are judged, and of `provider.store.clients`, while somebody
waits for tokens: what the one accepts is what the other gives.
"""

from typing import Final

#: In `scopes`: whatever the realm has.
ALL_SCOPES: Final = "*"


class ClientRules:
    """The rules; the annotated names are the settings that they are over."""

    auth_method: str
    scopes: tuple[str, ...]
    restricted_scopes: tuple[str, ...]

    @property
    def public(self) -> bool:
        """It has nothing to prove itself with, so only PKCE binds a code to it."""
        return self.auth_method == "none"

    def may_have(self, scope: str) -> bool:
        """Whether it may be granted a scope that the realm has."""
        return (scope in self.scopes or ALL_SCOPES in self.scopes) and scope not in self.restricted_scopes
