"""Whether the array at a `sector_identifier_uri` lists the redirect URIs of the client that names it.

Asked when a client is written to the database, before the transaction, and of those of the file when an
operator wants to know; never while somebody signs in, and never at a start. Where such a call may go is
`oidcgate.net`; which sector follows is `provider.client_rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oidcgate.net.fetch import Fetcher, FetchError
from oidcgate.settings import Problem, SettingsError
from oidcgate.strict_json import NotStrictJSON, parse_array
from provider.services.outbound import Outbound, busy
from provider.store.clients import Client


@dataclass(frozen=True)
class Sectors:
    """Asks other servers for sectors."""

    outbound: Outbound

    def check(self, said: Mapping[str, Any], current: Client | None = None, *, stranger: str = "") -> None:
        """Refuse settings whose sector does not know them. May fetch; call it outside of a transaction.

        Nothing is asked where no sector is named, or where the one of now was asked about all redirect URIs
        before. Settings of a wrong type are left to those who judge them.

        Args:
            said: What is going to be said of a client.
            current: The client as it is, where that is going to be changed.
            stranger: Who says it, where that is no operator: few threads wait for one.

        Raises:
            SettingsError: the URI leads to no array of texts, or a redirect URI is not in it.
            TemporarilyUnavailable: enough threads wait for this stranger's servers.

        Spec: OIDC Registration 5; OIDC Core 8.1.
        """
        uri, uris = (
            said.get(name, getattr(current, name, "")) for name in ("sector_identifier_uri", "redirect_uris")
        )
        if not (isinstance(uri, str) and uri and isinstance(uris, list | tuple)):
            return
        known = current is not None and current.sector_identifier_uri == uri
        if current is not None and known and all(one in current.redirect_uris for one in uris):
            return
        if not stranger:
            fetcher = self.outbound.operators if current is None else self.outbound.of(current)
            _ask(fetcher, uri, uris)
            return
        with self.outbound.one_more(stranger) as free:
            if not free:
                raise busy()
            _ask(self.outbound.strangers, uri, uris)

    def confirm(self, client: Client) -> None:
        """Ask again about a client as it is.

        Raises:
            SettingsError: as for `check`.
        """
        if client.sector_identifier_uri:
            _ask(self.outbound.of(client), client.sector_identifier_uri, client.redirect_uris)


def _ask(fetcher: Fetcher, uri: str, uris: "list[Any] | tuple[Any, ...]") -> None:
    try:
        listed = parse_array(fetcher.get_content(uri, "application/json"))
    except (FetchError, NotStrictJSON) as error:
        raise SettingsError([_problem(uri, "leads to no JSON array", f"see to it: {error}")]) from None
    missing = [one for one in uris if one not in listed]
    if missing:
        fix = f"add {', '.join(map(repr, missing))} to the array"
        raise SettingsError([_problem(uri, "does not list every redirect URI", fix)])


def _problem(uri: str, message: str, fix: str) -> Problem:
    return Problem("sector_identifier_uri", uri, message, fix)
