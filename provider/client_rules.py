"""What follows from the settings of a client alone, wherever it is written. Pure.

Asked of `provider.client_settings`, while they are judged, and of `provider.store.clients`, while somebody
waits for tokens: what the one accepts is what the other gives.
"""

from typing import Final
from urllib.parse import urlsplit

#: In `scopes`: whatever the realm has.
ALL_SCOPES: Final = "*"


class ClientRules:
    """The rules; the annotated names are the settings that they are over."""

    auth_method: str
    scopes: tuple[str, ...]
    restricted_scopes: tuple[str, ...]
    application_type: str
    redirect_uris: tuple[str, ...]
    subject_type: str
    sector_identifier_uri: str

    @property
    def public(self) -> bool:
        """It has nothing to prove itself with, so only PKCE binds a code to it."""
        return self.auth_method == "none"

    def may_have(self, scope: str) -> bool:
        """Whether it may be granted a scope that the realm has."""
        return (scope in self.scopes or ALL_SCOPES in self.scopes) and scope not in self.restricted_scopes

    @property
    def sector(self) -> str | None:
        """What it belongs to: clients of one sector see one pairwise `sub` of a person. None: nothing says.

        The host of its `sector_identifier_uri`, or the one host of all its redirect URIs. An address of the
        device and a private-use scheme are everybody's, so an app on a device has to name the former.

        Spec: OIDC Core 8.1.
        """
        if self.sector_identifier_uri:
            return urlsplit(self.sector_identifier_uri).hostname
        hosts = {_owned_host(uri, self.application_type) for uri in self.redirect_uris}
        return hosts.pop() if len(hosts) == 1 else None

    @property
    def subject_sector(self) -> str | None:
        """The sector by which it knows people; None where it knows them as every public client does."""
        return self.sector if self.subject_type == "pairwise" else None


def _owned_host(redirect_uri: str, application_type: str) -> str | None:
    parts = urlsplit(redirect_uri)
    return None if application_type == "native" and parts.scheme != "https" else parts.hostname
