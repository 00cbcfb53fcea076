"""One realm: an issuer with its settings, given to every endpoint and store function.

Realms of one process share a database and nothing else: each row carries the realm's id. Which realm a
request is for is decided by its path in `provider.app`; where realms come from is `provider.config`.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from provider.catalogue import Catalogue
from provider.config import ProviderSettings, RealmSettings

DEFAULT_REALM: Final = "default"


@dataclass(frozen=True)
class Realm:
    """An issuer.

    Attributes:
        id: `default`, or the name in `[[realms]]`; the `realm_id` of every row.
        issuer: byte for byte what `iss` says.
        path: the path of the issuer, without a slash at its end; "" at the root of a host.
        settings: lifetimes, consent, throttle.
    """

    id: str
    issuer: str
    path: str
    settings: RealmSettings

    @property
    def audience(self) -> str:
        """`aud` of access tokens for no API in particular."""
        return self.settings.audience or self.issuer

    @property
    def catalogue(self) -> Catalogue:
        """Its scopes, claims, APIs and organizations."""
        return self.settings.catalogue

    @property
    def site(self) -> str:
        """What pages call it."""
        return self.settings.display_name or urlsplit(self.issuer).netloc

    def url(self, path: str) -> str:
        """The absolute URL of one of this realm's routes, such as `/authorize`."""
        return self.issuer + path


def realms_of(settings: ProviderSettings) -> tuple[Realm, ...]:
    """Every realm of the configuration, the default one first."""
    base = urlsplit(settings.issuer).path
    default = Realm(DEFAULT_REALM, settings.issuer, base, settings)
    named = (
        Realm(realm.name, f"{settings.issuer}/r/{realm.name}", f"{base}/r/{realm.name}", realm)
        for realm in settings.realms
    )
    return (default, *named)
