"""Guesses at the passwords of the gate's own users, counted in the state store and slowed.

What is counted is here; how long one then waits is `oidcgate.slowing`, which the provider's sign-in goes by
too (docs/decisions/0004). A try is charged before the password is compared, so that a hundred sent at once do
not all pass before the first is counted, and forgiven when it was right.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Final, NamedTuple

from oidcgate.directory.port import fold
from oidcgate.slowing import SHARED_WAIT_SECONDS, Counter, Rule, charged, wait_seconds
from oidcgate.storage.records import Record, RecordStore, StoreFailure, StoreUnavailable
from oidcgate.web.forwarded import UNKNOWN_NETWORK

__all__ = ["Guesses"]

_GUESSES: Final = "guess"
_FORGET_SECONDS: Final = 3600
_FIRST_DELAY_SECONDS: Final = 2
# One name from one network; one name from anywhere; any name from one network.
_PAIR: Final = Rule(5, _FIRST_DELAY_SECONDS, 900, _FORGET_SECONDS)
_ACCOUNT: Final = Rule(30, _FIRST_DELAY_SECONDS, SHARED_WAIT_SECONDS, _FORGET_SECONDS)
_NETWORK: Final = Rule(50, _FIRST_DELAY_SECONDS, SHARED_WAIT_SECONDS, _FORGET_SECONDS)
# Where nobody's network is known, each counter is everybody's: none makes others wait longer than a minute.
_PAIR_UNKNOWN: Final = Rule(5, _FIRST_DELAY_SECONDS, SHARED_WAIT_SECONDS, _FORGET_SECONDS)
_UNKNOWN: Final = Rule(500, _FIRST_DELAY_SECONDS, SHARED_WAIT_SECONDS, _FORGET_SECONDS)
_TRIES: Final = 20


class _Scope(NamedTuple):
    key: str
    rule: Rule
    own: bool  # what a right password resets


class Guesses:
    """The counters of one gate, shared by all who share its state store."""

    def __init__(self, state: RecordStore, gate_id: str) -> None:
        self._state = state
        self._gate_id = gate_id

    def take(self, name: str, network: str, now: int) -> int:
        """Charge a try.

        Args:
            name: as it was typed; nobody need have it, and what is said does not tell.
            network: where it came from; see `oidcgate.web.forwarded.client_network`.

        Returns:
            0: it may be made. Otherwise the seconds to wait; asking too early does not make them more.

        Raises:
            StoreUnavailable: it may not be made.
        """
        scopes = self._scopes(name, network)
        found = [self._counter(self._state.get(_GUESSES, scope.key, now=now)) for scope in scopes]
        wait = wait_seconds(found, now)
        for scope in scopes:
            wait = wait or self._charge(scope, now)
        return wait

    def forgive(self, name: str, network: str, now: int) -> None:
        """After a right password: its name starts anew, and the network has this one charge back.

        Raises:
            StoreUnavailable: the charges may stand.
        """
        for scope in self._scopes(name, network):
            if scope.own:
                self._state.delete(_GUESSES, scope.key)
            else:
                self._change(scope, now, _given_back)

    def give_back(self, name: str, network: str, now: int) -> None:
        """Take back the charge of a try that was never made.

        Raises:
            StoreUnavailable: the charge may stand.
        """
        for scope in self._scopes(name, network):
            self._change(scope, now, _given_back)

    def _charge(self, scope: _Scope, now: int) -> int:
        return self._change(scope, now, charged)

    def _change(self, scope: _Scope, now: int, change: Callable[[Counter | None, Rule, int], Counter]) -> int:
        """Change one counter, unless somebody else has just made it one that waits: then that wait."""
        for _ in range(_TRIES):
            record = self._state.get(_GUESSES, scope.key, now=now)
            counter = self._counter(record)
            if change is charged and (wait := wait_seconds([counter], now)):
                return wait
            after = change(counter, scope.rule, now)
            if self._state.swap(
                _GUESSES,
                scope.key,
                expected_version=None if record is None else record.version,
                value=json.dumps(after).encode(),
                expires_at=max(after.blocked_until, now) + _FORGET_SECONDS,
                now=now,
            ):
                return 0
        raise StoreUnavailable(StoreFailure.LOCKED, "too many guesses are counted at once; try again")

    def _scopes(self, name: str, network: str) -> tuple[_Scope, ...]:
        def key(*parts: str) -> str:
            return hashlib.sha256(
                "\0".join((self._gate_id, *parts)).encode("utf-8", "surrogatepass")
            ).hexdigest()

        folded = fold(name)
        # Whoever comes over a Unix socket on which nobody is believed.
        unknown = network == UNKNOWN_NETWORK
        return (
            _Scope(key("pair", folded, network), _PAIR_UNKNOWN if unknown else _PAIR, True),
            _Scope(key("account", folded), _ACCOUNT, True),
            _Scope(key("network", network), _UNKNOWN if unknown else _NETWORK, False),
        )

    @staticmethod
    def _counter(record: Record | None) -> Counter | None:
        return None if record is None else Counter(*json.loads(record.value))


def _given_back(counter: Counter | None, rule: Rule, now: int) -> Counter:
    before = counter or Counter(0, now, 0)
    return before._replace(failures=max(0, before.failures - 1))
