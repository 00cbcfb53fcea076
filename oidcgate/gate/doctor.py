"""Examines a gate and what is around it: whom to ask, in which order.

How an answer is judged is `diagnosis` next door. Nothing is changed anywhere: a record that is written for
the sake of the question is taken away again, and no code or token of anybody is sent.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import urlencode, urlsplit

from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, UserDirectory
from oidcgate.gate.comparison import differences
from oidcgate.gate.config import LOGIN_PATH, GateConfig
from oidcgate.gate.diagnosis import (
    Finding,
    Verdict,
    judge_clock,
    judge_keys,
    judge_liveness,
    judge_login,
    judge_proxies,
    judge_redeeming,
    judge_redirect_uri,
)
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.sessions import Sessions
from oidcgate.gate.stores import absent_file, state_doubts
from oidcgate.gate.transaction import SEED_BYTES, Transaction
from oidcgate.jose.keys import SIGNING_ALGORITHMS
from oidcgate.jose.remote import KeysUnavailable
from oidcgate.loopback import is_loopback_host
from oidcgate.net.fetch import Fetcher, FetchError
from oidcgate.protocol.errors import Refused
from oidcgate.storage.records import RecordStore, StoreUnavailable
from oidcgate.web.cookies import GATE_PATH, CookieNames

__all__ = ["Doctor"]

_KIND: Final = "doctor"
_DAY_SECONDS: Final = 86_400
_NOBODY: Final = "oidcgate-doctor-asks-for-nobody"
_PROBLEMS_SHOWN: Final = 20
_AS_A_BROWSER: Final = {
    "Accept": "text/html",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
}


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Looks at one gate, at one of its hosts.

    Attributes:
        users: the directory.
        state: the state store.
        relying_parties: one for each IdP.
        outside: reaches the public URL, where the gate is deployed.
        random_bytes: unpredictable bytes, for what is made up.
        elsewhere: who looks at the other hosts.
    """

    config: GateConfig
    names: CookieNames
    users: UserDirectory
    sessions: Sessions
    state: RecordStore
    relying_parties: Iterable[RelyingParty]
    clock: Callable[[], float]
    outside: Fetcher
    random_bytes: Callable[[int], bytes]
    elsewhere: "tuple[Doctor, ...]" = ()

    def examine(self) -> Iterator[Finding]:
        """Everything, in an order in which what comes first explains what fails later; each when it is known.

        A part that does not answer is a finding, and never the end.
        """
        yield from self._stores()
        yield from self._directory()
        asked: set[str] = set()
        for doctor in (self, *self.elsewhere):
            for party in doctor.relying_parties:
                issuer = party.provider.expected_issuer
                # Only the redirect URI is another one at another host.
                yield from doctor._redirect_uri(party) if issuer in asked else doctor._provider(party)
                asked.add(issuer)
            yield from map(doctor._said_of_host if self.elsewhere else _as_it_is, doctor._public_url())
        proxy = self.config.proxy
        if proxy.places:
            host = urlsplit(self.config.public_url).hostname or ""
            yield judge_proxies(is_loopback_host(host), self.config.serve.bind, proxy.trusted_proxies)

    def _stores(self) -> Iterator[Finding]:
        now = int(self.clock())
        config = self.config
        used = absent_file(config.state.store) is None
        if not used:
            says = "sqlite: its file is not there yet; nobody has signed in"
            yield Finding("state store", Verdict.FINE, says)
        else:
            yield from self._state(now)
        kind = config.session.store.partition(":")[0]
        if absent_file(config.session.store) is not None:
            yield Finding("sessions", Verdict.FINE, "sqlite: its file is not there yet")
        else:
            yield _asked("sessions", f"{kind} answers", lambda: self.sessions.probe(now))
        if used:
            yield from self._secret(now)

    def _state(self, now: int) -> Iterator[Finding]:
        key = self.random_bytes(8).hex()

        def written_and_taken() -> None:
            self.state.put(_KIND, key, b"?", expires_at=now + 60)
            if self.state.take(_KIND, key, now=now) is None:
                raise _Forgot

        kind = self.config.state.store.partition(":")[0]
        yield _asked("state store", f"{kind} keeps what it is given", written_and_taken)
        # That it does not answer is told already.
        with contextlib.suppress(StoreUnavailable):
            for doubt in state_doubts(self.config, self.state):
                what, _, fix = doubt.partition("; ")
                yield Finding("state store", Verdict.DOUBT, what, fix)

    def _secret(self, now: int) -> Iterator[Finding]:
        """How long the first secret has been sealing sessions."""
        try:
            age = next(self.sessions.key_ages.of_ring(now))
        except StoreUnavailable:
            return  # which was told already
        if age.sealing_since is not None:
            days = max(0, now - age.sealing_since) // _DAY_SECONDS
            yield Finding("session secret", Verdict.FINE, f"{age.name} has been sealing for {days} day(s)")

    def _directory(self) -> Iterator[Finding]:
        source = self.config.users.source.partition(":")[0]
        try:
            problems = self.users.problems()
            for problem in problems[:_PROBLEMS_SHOWN]:
                yield Finding("directory", Verdict.WRONG, str(problem))
            if len(problems) > _PROBLEMS_SHOWN:
                yield Finding("directory", Verdict.WRONG, f"{len(problems)} problems in all")
            self.users.find(_NOBODY, now=int(self.clock()))
        except DirectoryUnavailable as error:
            wrong, fix = (
                ("cannot be used", "correct [users]")
                if error.answered
                else ("does not answer", "see that it can be reached")
            )
            yield Finding("directory", Verdict.WRONG, f"{source} {wrong}: {error}", fix)
        except AmbiguousUser:
            yield Finding("directory", Verdict.WRONG, f"{source} finds several of a name that nobody has")
        else:
            yield Finding("directory", Verdict.FINE, f"{source} answers")

    def _provider(self, party: RelyingParty) -> Iterator[Finding]:
        provider, issuer = party.provider, party.provider.expected_issuer
        try:
            metadata = party.discovery.metadata()
        except ProviderUnavailable as error:
            fix = "correct provider.issuer, or the IdP" if error.answered else "see that it can be reached"
            yield Finding(issuer, Verdict.WRONG, error.detail, fix)
            return
        yield Finding(issuer, Verdict.FINE, "its discovery document is that of this issuer")
        yield from self._clock(party)
        for difference in differences(provider, metadata, shares_callback=self._shares_callback(issuer)):
            what, _, fix = difference.partition("; ")
            yield Finding(issuer, Verdict.WRONG, what, fix)
        algorithms = [alg for alg in party.signed_tokens.algorithms() if alg in SIGNING_ALGORITHMS]
        if algorithms:
            try:
                yield judge_keys(issuer, party.signed_tokens.keys.keys_for(None), algorithms)
            except KeysUnavailable as error:
                yield Finding(
                    issuer,
                    Verdict.WRONG,
                    f"its keys cannot be had: {error.__cause__ or error}",
                    "see jwks_uri",
                )
        yield from self._registration(party)

    def _shares_callback(self, issuer: str) -> bool:
        everywhere = (party for at in (self, *self.elsewhere) for party in at.relying_parties)
        return any(one.shares_callback for one in everywhere if one.provider.expected_issuer == issuer)

    def _clock(self, party: RelyingParty) -> Iterator[Finding]:
        provider = party.provider
        sent_at = self.clock()
        try:
            answer = party.token_endpoint.fetcher.get_json(provider.discovery_url)
        except FetchError as error:
            yield Finding(provider.expected_issuer, Verdict.DOUBT, f"answers once and then not: {error}")
            return
        yield judge_clock(
            provider.expected_issuer,
            answer.headers.get("Date"),
            sent_at,
            self.clock(),
            provider.clock_skew_seconds,
        )

    def _registration(self, party: RelyingParty) -> Iterator[Finding]:
        """Whether the IdP knows the client, its proof and its redirect URI."""
        issuer = party.provider.expected_issuer
        try:
            party.token_endpoint.redeem(self.random_bytes(16).hex(), self.random_bytes(32).hex())
        except Refused as refused:
            yield judge_redeeming(issuer, refused)
        except ProviderUnavailable as error:
            yield Finding(issuer, Verdict.WRONG, error.detail, "see that its token endpoint can be reached")
        else:
            yield judge_redeeming(issuer, None)
        yield from self._redirect_uri(party)

    def _redirect_uri(self, party: RelyingParty) -> Iterator[Finding]:
        issuer = party.provider.expected_issuer
        attempt = Transaction(
            seed=self.random_bytes(SEED_BYTES),
            issuer=issuer,
            return_path="/",
            loops=0,
            started_at=int(self.clock()),
        )
        try:
            url = party.authorization_url(attempt, prompt=("none",))
            head = party.token_endpoint.fetcher.get_head(url, _AS_A_BROWSER)
        except (Refused, ProviderUnavailable, FetchError) as error:
            # The browser's way there may be another one than ours.
            yield Finding(issuer, Verdict.DOUBT, f"its authorization endpoint cannot be asked: {error}")
            return
        yield judge_redirect_uri(issuer, head, party.redirect_uri)

    def _said_of_host(self, finding: Finding) -> Finding:
        return dataclasses.replace(finding, subject=f"{finding.subject} {self.config.public_url}")

    def _public_url(self) -> Iterator[Finding]:
        config = self.config
        try:
            alive = self.outside.get_head(f"{config.public_url}{GATE_PATH}healthz", {})
            yield judge_liveness(config.public_url, alive.status)
            if alive.status != 200:
                return
            # With its fragment already told, and the provider chosen: no page of ours stands between.
            provider = config.identity_providers[0]
            query = {"rd": "/", "fragment": "", **_one_of(provider.name)}
            login = self.outside.get_head(
                f"{config.public_url}{LOGIN_PATH}?{urlencode(query)}", _AS_A_BROWSER
            )
        except FetchError as error:
            yield Finding(
                "public URL",
                Verdict.DOUBT,
                f"cannot be reached from here: {error}",
                "start the gate and run this where browsers' way to it is open; --ca-file names an authority "
                "of your own",
            )
            return
        yield from judge_login(login, self.names, config.callback_url(provider), provider.client_id)


class _Forgot(Exception):
    """A store does not have what it was given."""


def _asked(subject: str, fine: str, ask: Callable[[], None]) -> Finding:
    try:
        ask()
    except StoreUnavailable as error:
        return Finding(subject, Verdict.WRONG, str(error), "requests are answered 503 until it works")
    except _Forgot:
        return Finding(subject, Verdict.WRONG, "forgets at once what it is given", "look into its log")
    return Finding(subject, Verdict.FINE, fine)


def _as_it_is(finding: Finding) -> Finding:
    return finding


def _one_of(name: str) -> dict[str, str]:
    return {"idp": name} if name else {}
