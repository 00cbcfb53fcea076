"""Slowing down password guessing: what is counted, and the steps that apply the rule in the database.

Nobody is locked out. After some free failures each further try has to wait, twice as long each time, up to a
cap (`oidcgate.slowing`). With the default settings:

=============  ==============================================  ======  ============
scope          what it counts                                  free    longest wait
=============  ==============================================  ======  ============
pair           failures for one name from one network               5  15 minutes
account        failures for one name from anywhere                 30  1 minute
network        failures for any name from one network              50  1 minute
=============  ==============================================  ======  ============

Codes of a second factor are slowed by the same rules over counters of their own (`code_scopes_of`), and so
are codes of devices (`device_scopes_of`), per network. Devices that begin in the name of a public client are
counted per network too (`device_start_scopes_of`), and so are applications that register themselves where
anybody may (`registration_scopes_of`).

The strict rule binds the guesser's own network. The rule over all networks has a short cap, so somebody who
guesses at the owner's name delays the owner by at most that minute, and from one network alone never reaches
it. A name that nobody has is counted like any other: the wait says nothing about whether an account exists.

A try is charged *before* the password is checked and given back when it was right. A hundred guesses sent at
once therefore cannot all pass the check before the first failure is written. Counters are rows changed inside
one transaction (`provider.store.throttle`); the password itself is `provider.factors.password`; which network
a request came from is `oidcgate.web.forwarded`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from oidcgate.slowing import SHARED_WAIT_SECONDS, Counter, Rule, charged, wait_seconds
from oidcgate.web.forwarded import UNKNOWN_NETWORK
from provider.realm_settings import ThrottleSettings
from provider.store import throttle as rows

#: The part of a client's places for devices that one network has free, and the least it has.
_NETWORKS_PER_CLIENT: Final = 20
_LEAST_FREE_STARTS: Final = 20
#: How many times more failures one account may have from everywhere than from one network.
_NETWORKS_PER_ACCOUNT: Final = 6


@dataclass(frozen=True)
class Scope:
    """One counter: its key in the database and the rule it follows.

    `own` marks what a right password resets.
    """

    key: str
    rule: Rule
    own: bool


def scopes_of(user_name_key: str, network: str, settings: ThrottleSettings) -> tuple[Scope, ...]:
    """The counters one try touches.

    Args:
        user_name_key: The folded user name as typed; it need not exist.
        network: From `client_network`. `unknown` (a Unix socket without a trusted proxy) is counted as one
            network for the account, and not at all by itself: it would be a counter for everybody.
    """
    account = hashlib.sha256(user_name_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    shared = min(SHARED_WAIT_SECONDS, settings.longest_delay_seconds)
    first = min(settings.first_delay_seconds, shared)
    anywhere = Rule(settings.account_failures * _NETWORKS_PER_ACCOUNT, first, shared, settings.forget_seconds)
    scopes = (
        Scope(f"pair:{account}:{network}", _strict(settings), own=True),
        Scope(f"account:{account}", anywhere, own=True),
    )
    return (*scopes, *_network_scope(network, settings))


def code_scopes_of(user_id: str, network: str, settings: ThrottleSettings) -> tuple[Scope, ...]:
    """The counters that one code of a second factor touches.

    Not those of the password, which its owner could reset at will by typing it once more between guesses.
    Only who has shown the password gets here, so the strict rule binds the account from everywhere: a
    stranger cannot make the owner wait.
    """
    account = hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    own = Scope(f"code:{account}", _strict(settings), own=True)
    return (own, *_network_scope(network, settings))


def device_scopes_of(network: str, settings: ThrottleSettings) -> tuple[Scope, ...]:
    """The counter that one typed code of a device touches.

    Who types it is not known yet. A guess is at the codes of everybody who waits, so the network `unknown` is
    counted too.

    Spec: RFC 8628 5.1.
    """
    return (Scope(f"device:{network}", _shared(settings, settings.network_failures), own=False),)


def device_start_scopes_of(network: str, settings: ThrottleSettings) -> tuple[Scope, ...]:
    """The counter of devices that begin in the name of public clients, which anybody can do.

    So that no network alone takes all the places of a client (`devices_per_client`). Nothing is given back:
    a place is taken until the code ends. The network `unknown` is not counted: it would be a counter for
    everybody.

    Spec: RFC 8628 5.6.
    """
    if network == UNKNOWN_NETWORK:
        return ()
    free = max(_LEAST_FREE_STARTS, settings.devices_per_client // _NETWORKS_PER_CLIENT)
    return (Scope(f"device-start:{network}", _shared(settings, free), own=False),)


def registration_scopes_of(network: str, per_network: int, settings: ThrottleSettings) -> tuple[Scope, ...]:
    """The counter of clients that register themselves where anybody may.

    Nothing is given back, and the network `unknown` is not counted, as for devices that begin: how many there
    may be in all has a limit of its own.

    Args:
        per_network: How many are free.
    """
    if network == UNKNOWN_NETWORK:
        return ()
    return (Scope(f"registration:{network}", _shared(settings, per_network), own=False),)


def _strict(settings: ThrottleSettings) -> Rule:
    return Rule(
        settings.account_failures,
        settings.first_delay_seconds,
        settings.longest_delay_seconds,
        settings.forget_seconds,
    )


def _network_scope(network: str, settings: ThrottleSettings) -> tuple[Scope, ...]:
    if network == UNKNOWN_NETWORK:
        return ()
    # A right password gives the network only its own charge back: else one account of the guesser's own
    # would buy unlimited tries at all others.
    return (Scope(f"network:{network}", _shared(settings, settings.network_failures), own=False),)


def _shared(settings: ThrottleSettings, free: int) -> Rule:
    shared = min(SHARED_WAIT_SECONDS, settings.longest_delay_seconds)
    first = min(settings.first_delay_seconds, shared)
    return Rule(free, first, shared, settings.forget_seconds)


def take_attempt(conn: Connection, realm_id: str, scopes: Sequence[Scope], now: int) -> int:
    """Charge one try to all scopes, or to none of them.

    Must run inside a writing transaction of the caller, which commits it before the password is checked.

    Returns:
        0: the try is charged and may be made. Otherwise the seconds to wait: nothing was charged, so that
            asking too early never makes the wait longer.
    """
    counters: Mapping[str, Counter] = rows.read_for_update(conn, realm_id, [scope.key for scope in scopes])
    wait = wait_seconds((counters.get(scope.key) for scope in scopes), now)
    if wait > 0:
        return wait
    for scope in scopes:
        rows.write(conn, realm_id, scope.key, charged(counters.get(scope.key), scope.rule, now))
    return 0


def forgive(conn: Connection, realm_id: str, scopes: Sequence[Scope]) -> None:
    """Reset the account's counters after a right password and give the network its one charge back.

    Runs in the transaction that makes the session.
    """
    counters = rows.read_for_update(conn, realm_id, [scope.key for scope in scopes])
    rows.delete_counters(conn, realm_id, [scope.key for scope in scopes if scope.own])
    shared = {scope.key for scope in scopes if not scope.own}
    _write_given_back(conn, realm_id, {key: found for key, found in counters.items() if key in shared})


def give_back(conn: Connection, realm_id: str, scopes: Sequence[Scope]) -> None:
    """Take back the charge of one try, for instance one that was never judged because no slot was free."""
    counters = rows.read_for_update(conn, realm_id, [scope.key for scope in scopes])
    _write_given_back(conn, realm_id, counters)


def _write_given_back(conn: Connection, realm_id: str, counters: Mapping[str, Counter]) -> None:
    for key, counter in counters.items():
        rows.write(conn, realm_id, key, counter._replace(failures=max(0, counter.failures - 1)))
