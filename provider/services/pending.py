"""Requests that wait for a person: storing one, and finding it again for the browser it belongs to.

The identifier in the URL names a row only together with the browser cookie. Somebody who reads it in a log,
or is sent it as a link, gets an error page; a row that is finished is answered in the same way, so that the
back button and a replayed form lead nowhere. Rows are `provider.store.interactions`, the cookie is
`browser_session`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection

from provider.pages import ErrorKind
from provider.realm import Realm
from provider.services.browser_session import Browser
from provider.services.opaque import new_token, token_hash
from provider.services.responses import PageError
from provider.store import interactions
from provider.store.interactions import UNCLAIMED, Interaction


class Kind(StrEnum):
    """What the stored request asks for."""

    AUTHORIZE = "authorize"
    DEVICE = "device"
    ACCOUNT = "account"
    END_SESSION = "end_session"


#: Those for which a person signs in.
SIGN_IN: Final = frozenset({Kind.AUTHORIZE, Kind.DEVICE, Kind.ACCOUNT})


@dataclass(frozen=True)
class Pending:
    """A stored request of this browser that is neither finished nor expired."""

    identifier: str
    row: Interaction

    @property
    def kind(self) -> Kind:
        """What it asks for."""
        return Kind(self.row.request["kind"])

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The request's parameters as they came; of one with a request object, what came of both."""
        return [(name, value) for name, value in self.row.request["parameters"]]

    @property
    def signed(self) -> bool:
        """Whether the client had signed them: the object itself is gone, and may have ended since."""
        return bool(self.row.request.get("signed"))


def store_request(
    conn: Connection,
    realm: Realm,
    kind: Kind,
    parameters: Sequence[tuple[str, str]],
    *,
    browser: Browser | None,
    client_id: str,
    redirect_uri: str,
    now: int,
    signed: bool = False,
) -> Pending:
    """Store an accepted request.

    Args:
        browser: Whose request it is; None leaves the row to the first browser that asks for it, for a
            cross-site POST in which our cookies are absent.
        client_id: For the operator; "" where the client is not known.
        redirect_uri: Likewise.
        signed: The client has signed the parameters.
    """
    identifier = new_token()
    row = Interaction(
        id_hash=token_hash(identifier),
        browser_hash=UNCLAIMED if browser is None else token_hash(browser.token),
        client_id=client_id,
        redirect_uri=redirect_uri,
        request={
            "kind": kind.value,
            "parameters": [[name, value] for name, value in parameters],
            "signed": signed,
        },
        state={},
        created_at=now,
        expires_at=now + realm.settings.lifetimes.interaction_seconds,
        finished_at=None,
    )
    interactions.add(conn, realm.id, row)
    return Pending(identifier, row)


def load_request(
    conn: Connection,
    realm: Realm,
    kinds: Collection[Kind],
    identifier: str | None,
    browser: Browser,
    now: int,
) -> Pending:
    """Find a stored request of this browser.

    Raises:
        PageError: there is none of that name, of these kinds, for this browser, or it is finished or expired.
            The page is the same for all of these; the log tells them apart.
    """
    if not identifier:
        raise _over("no identifier")
    row = interactions.find(conn, realm.id, token_hash(identifier))
    if row is None or row.request["kind"] not in kinds:
        raise _over("no such interaction")
    if row.browser_hash != token_hash(browser.token):
        raise _over(
            "the browser sent no cookie of ours" if browser.is_new else "the interaction is another browser's"
        )
    if row.finished_at is not None:
        raise _over("the interaction is finished")
    if now >= row.expires_at:
        raise _over("the interaction has expired")
    return Pending(identifier, row)


def claim_request(conn: Connection, realm: Realm, identifier: str, browser: Browser) -> None:
    """Bind a request that was stored without a browser to this one, if nobody did before."""
    interactions.claim(conn, realm.id, token_hash(identifier), token_hash(browser.token))


def with_progress(pending: Pending, progress: Mapping[str, Any]) -> Pending:
    """The same request with what the person did just now."""
    return replace(pending, row=replace(pending.row, state={**pending.row.state, **progress}))


def save_progress(conn: Connection, realm: Realm, pending: Pending) -> None:
    """Store what the person did.

    Raises:
        PageError: the request was finished in the meantime, in another tab.
    """
    if not interactions.set_state(conn, realm.id, pending.row.id_hash, pending.row.state):
        raise _over("the interaction was finished meanwhile")


def finish_request(conn: Connection, realm: Realm, pending: Pending, now: int) -> None:
    """Close a request. What is issued in the same transaction is issued once.

    Raises:
        PageError: another tab was first.
    """
    if not interactions.finish(conn, realm.id, pending.row.id_hash, now):
        raise _over("the interaction was finished meanwhile")


def _over(detail: str) -> PageError:
    return PageError(ErrorKind.EXPIRED, detail=detail)
