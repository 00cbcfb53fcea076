"""The tokens of sessions, renewed: once for each time they are due, however many threads and hosts ask.

Here lives who asks the provider, who waits for the answer, and what an answer means for the session. What the
record of the tokens goes through is pure (`oidcgate.gate.refresh`); where it is kept is
`oidcgate.gate.kept_tokens`; what a provider has to answer, `oidcgate.gate.relying_party`.

The provider's clear "no" (`invalid_grant`) ends the session. An answer that cannot be believed, or none, ends
nothing: the session goes on without tokens until a browser can be sent to sign in silently.

A session can end while the answer is awaited. Whoever ended it found no refresh token to revoke; what comes
then is revoked here.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from oidcgate.audit import Audit
from oidcgate.gate import events, refresh
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.kept_tokens import Held, Kept
from oidcgate.gate.refresh import NEVER, Next, Step, next_step
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.session import Absent, AbsentReason, Found, SessionRecord
from oidcgate.gate.sessions import Ended, Sessions
from oidcgate.gate.token_revocation import REQUEST_SECONDS, TokenRevocation
from oidcgate.protocol.errors import NEED_A_PERSON, Reason, Refused
from oidcgate.storage.records import StoreUnavailable
from oidcgate.waiting import about_to_wait

__all__ = ["Refresher"]

_STORE_RETRY_SECONDS: Final = 1
#: How long a session that waits for a navigation is not looked at again.
_UNCONFIRMED_SECONDS: Final = 5
# Beyond the time that a call to the provider may take: to write the answer down, and for clocks that differ.
_ANSWER_MARGIN_SECONDS: Final = 5
_FIRST_LOOK_SECONDS: Final = 0.02
_LONGEST_LOOK_SECONDS: Final = 0.25
# A provider that fails is left alone for a while: each token that is sent to it may be lost.
_FIRST_PAUSE_SECONDS: Final = 5
_LONGEST_PAUSE_SECONDS: Final = 60
_WRITES: Final = 5
_FIRST_WRITE_PAUSE_SECONDS: Final = 0.1


class Refresher:
    """Keeps the tokens of the sessions of one gate good."""

    def __init__(
        self,
        sessions: Sessions,
        relying_parties: Mapping[str, RelyingParty],
        token_revocation: TokenRevocation,
        audit: Audit,
        clock: Callable[[], float],
        *,
        before_seconds: int,
        new_claim: Callable[[], str],
        wait: Callable[[float], object],
    ) -> None:
        """Nobody is asked yet.

        Args:
            sessions: those whose tokens are kept.
            relying_parties: by issuer.
            token_revocation: revokes what comes for a session that has ended.
            audit: where it is told what went wrong.
            clock: epoch seconds.
            before_seconds: how long before its end an access token is renewed.
            new_claim: a name that nobody used before.
            wait: lets so many seconds pass.
        """
        self._sessions = sessions
        self._tokens = sessions.kept_tokens
        self._parties = relying_parties
        self._revocation = token_revocation
        self._audit = audit
        self._clock = clock
        self._before_seconds = before_seconds
        self._new_claim = new_claim
        self._wait = wait
        self._pauses = {issuer: _Pause() for issuer in relying_parties}

    def look(self, found: Found, now: int, *, ask: bool) -> Found | Absent:
        """See to the tokens of a session whose `tokens_at` has come.

        Args:
            found: the session; what is known of its tokens is renewed.
            now: epoch seconds.
            ask: whether the provider may be asked or waited for. Where it may not, `tokens_at` stays due for
                a caller who may.

        Returns:
            The session, or Absent when the provider has ended what it was about.
        """
        about_to_wait()
        self._sessions.end_unended(now)
        if not found.record.tokens:
            found.tokens_at = NEVER
            return found
        try:
            return self._looked(found, now, ask)
        except StoreUnavailable:
            # Whether the session has ended is asked elsewhere. Its tokens can wait.
            found.tokens_at = now + _STORE_RETRY_SECONDS
            return found

    def sends_to_sign_in(self, found: Found, now: int) -> bool:
        """Whether the browser that navigates is to sign in silently: of all that navigate now, one."""
        about_to_wait()
        try:
            held = self._tokens.find(found.record.session_id, now)
            if held is None or next_step(held.kept, now).next is not Next.SIGN_IN:
                self._settle(found, held and held.kept, now)
                return False
            asked = refresh.asked_silently(held.kept, now)
            if not self._tokens.change(held, asked, now):
                return False
        except StoreUnavailable:
            return False
        self._settle(found, asked, now)
        return True

    def _looked(self, found: Found, now: int, ask: bool) -> Found | Absent:
        record = found.record
        held = self._tokens.find(record.session_id, now)
        if held is None:
            # Taken at its end, or lost with the store.
            if self._sessions.was_overtaken(record, record.created_at, now):
                return Absent(AbsentReason.REVOKED)
            self._settle(found, None, now)
            return found
        step, pause = next_step(held.kept, now), self._pauses.get(record.iss)
        if pause is None:
            # Its provider is configured no more.
            step = Step(Next.GO_ON, NEVER)
        elif step.next is Next.REFRESH and now < pause.until:
            step = Step(Next.GO_ON, pause.until)
        elif step.next is Next.REFRESH and ask:
            return self._refreshed(found, held, now)
        elif step.next is Next.WAIT and ask:
            return self._followed(found)
        self._settle(found, held.kept, now, step)
        return found

    def _settle(self, found: Found, kept: Kept | None, now: int, step: Step | None = None) -> None:
        """Let this worker know of a session's tokens what the record says."""
        step = step or next_step(kept, now)
        token = refresh.usable_access_token(kept, now)
        if token != found.access_token:
            found.access_token = token
            # The headers are made anew.
            found.forwarded_to = None
        found.unconfirmed = step.next is Next.SIGN_IN
        at = now + _UNCONFIRMED_SECONDS if found.unconfirmed else step.at
        found.tokens_at = at if kept is None or token is None else min(at, kept.expires_at)

    def _followed(self, found: Found) -> Found | Absent:
        """Wait for the answer that another thread, process or host was promised."""
        pause = _FIRST_LOOK_SECONDS
        # By our own clock: another host's may be far ahead.
        patience = int(self._clock()) + self._answer_seconds(self._parties[found.record.iss])
        while True:
            self._wait(pause)
            pause = min(2 * pause, _LONGEST_LOOK_SECONDS)
            now = int(self._clock())
            held = self._tokens.find(found.record.session_id, now)
            if held is None or next_step(held.kept, now).next is not Next.WAIT:
                # Whatever came of it, this request has waited once and does not ask as well.
                return self._looked(found, now, ask=False)
            if now >= patience:
                self._settle(found, held.kept, now, Step(Next.GO_ON, now + _UNCONFIRMED_SECONDS))
                return found

    def _answer_seconds(self, party: RelyingParty) -> int:
        return math.ceil(party.provider.timeout_seconds) + _ANSWER_MARGIN_SECONDS

    def _refreshed(self, found: Found, held: Held, now: int) -> Found | Absent:
        record, party = found.record, self._parties[found.record.iss]
        sent = held.kept.refresh_token
        assert sent is not None  # noqa: S101 (the step was REFRESH)
        try:
            # Before the token is risked: where to send it has to be known, and what signs the answer.
            party.signed_tokens.ready()
        except ProviderUnavailable as error:
            self._failed(found, "provider_unavailable", error.detail, now)
            return self._looked(found, now, ask=False)
        claim = self._new_claim()
        taken_out = refresh.claimed(held.kept, claim, now + self._answer_seconds(party))
        if not self._tokens.change(held, taken_out, now):
            # Somebody was first.
            return self._looked(found, now, ask=True)
        # From here on the token is in nobody's hands but ours.
        change: Callable[[Kept], Kept]
        try:
            tokens = party.renew(sent, sub=record.sub, nonce=held.kept.nonce, clock=self._clock)
        except ProviderUnavailable as error:
            change = refresh.in_doubt if error.sent else partial(refresh.given_back, refresh_token=sent)
            self._failed(found, "provider_unavailable", error.detail, int(self._clock()))
        except Refused as error:
            if error.error == "invalid_grant":
                return self._ended(found)
            change = refresh.in_doubt
            detail = ": ".join(filter(None, (error.error, error.detail)))
            # What is said of one person is no reason to leave the others without tokens.
            of_one = error.error in NEED_A_PERSON or error.reason is Reason.ID_TOKEN_SUB
            self._failed(found, str(error.reason), detail, int(self._clock()), pauses=not of_one)
        else:
            self._pauses[record.iss].end()
            now, before = int(self._clock()), self._before_seconds
            change = partial(refresh.renewed, sent=sent, tokens=tokens, now=now, before_seconds=before)
        self._change(record, taken_out, change)
        return self._looked(found, int(self._clock()), ask=False)

    def _change(self, record: SessionRecord, taken_out: Kept, change: Callable[[Kept], Kept]) -> None:
        """Change what was claimed. Where the session has ended meanwhile, the tokens end at the IdP too.

        Raises:
            StoreUnavailable: for longer than can be waited for. Nobody knows what was written; what was not
                is in doubt.
        """
        pause = _FIRST_WRITE_PAUSE_SECONDS
        for remaining in reversed(range(_WRITES)):
            try:
                now = int(self._clock())
                held = self._tokens.find(record.session_id, now)
                if held is None:
                    self._let_go(record, change(taken_out), taken_out.answer_by - now)
                    return
                if held.kept.claim != taken_out.claim:
                    return
                if self._tokens.change(held, change(held.kept), now):
                    return
            except StoreUnavailable:
                if not remaining:
                    raise
            # What was got for a token that is gone must not be lost to a store that is away for a moment.
            self._wait(pause)
            pause *= 2

    def _let_go(self, record: SessionRecord, kept: Kept, seconds: int) -> None:
        """Revoke what nobody keeps any more.

        Args:
            seconds: what is left of the time in which others expect an answer.
        """
        if kept.refresh_token is not None:
            self._revocation.revoke([Ended(record, kept)], max(min(seconds, REQUEST_SECONDS), 0))

    def _ended(self, found: Found) -> Absent:
        """The provider has said that what it granted is over, and so is the session."""
        record = found.record
        self._audit.emit(
            events.SessionEndedAtProvider(user_name=record.user_name, sub=record.sub, issuer=record.iss)
        )
        # Until it can be written down this worker lets nobody in, and the others find it in doubt.
        self._sessions.end_surely(record, int(self._clock()))
        return Absent(AbsentReason.ENDED_AT_PROVIDER)

    def _failed(self, found: Found, reason: str, detail: str, now: int, *, pauses: bool = True) -> None:
        record = found.record
        if pauses:
            self._pauses[record.iss].begin(now)
        self._audit.emit(
            events.TokensNotRenewed(
                user_name=record.user_name, sub=record.sub, issuer=record.iss, reason=reason, detail=detail
            )
        )


class _Pause:
    """How long one provider is not asked for tokens: longer with each failure in a row.

    Attributes:
        until: epoch seconds.
    """

    def __init__(self) -> None:
        self.until = 0
        self._seconds = _FIRST_PAUSE_SECONDS

    def begin(self, now: int) -> None:
        self.until = now + self._seconds
        self._seconds = min(2 * self._seconds, _LONGEST_PAUSE_SECONDS)

    def end(self) -> None:
        self.until, self._seconds = 0, _FIRST_PAUSE_SECONDS
