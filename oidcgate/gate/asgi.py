"""`AsyncGate`: the gate around an ASGI app, in the app's own process or in the sidecar.

Here lives the way of one request on an event loop: what is known in memory is judged on the loop, what has to
be asked for runs in threads, and requests that last are judged anew. Judging is `oidcgate.gate.judge`; the
arguments become parts in `oidcgate.gate.front`; the same for WSGI apps is `oidcgate.gate.wsgi`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from oidcgate.gate import decision as decisions
from oidcgate.gate.config import (
    BACKCHANNEL_LOGOUT_PATH,
    BREAK_GLASS_PATH,
    CALLBACK_PATH,
    FRONTCHANNEL_LOGOUT_PATH,
    LOGIN_PATH,
    LOGOUT_PATH,
    SESSION_CHECK_PATH,
    SESSION_FRAME_PATH,
)
from oidcgate.gate.front import REPLACED_BY_REDIRECT, Front, cookies_to_add
from oidcgate.gate.judge import Judgement
from oidcgate.gate.local_users import AT_ONCE
from oidcgate.gate.pool import Pool, PoolFull
from oidcgate.gate.session import Found, Session, Unavailable, UnavailableReason
from oidcgate.gate.watch import Ongoing, Watch
from oidcgate.handover import DROP_COOKIE, FORWARD, TUNNEL_HEADERS, UPGRADE, Outcome
from oidcgate.identity import ACCESS_TOKEN_ENVIRON, IDENTITY_ENVIRON
from oidcgate.waiting import WouldWait, at_once
from oidcgate.web.asgi import (
    Answered,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    answered,
    check_path,
    read_body,
    read_head,
    send_answer,
    whole_environ,
)
from oidcgate.web.cookies import GATE_PATH, names_gate_cookie
from oidcgate.web.facts import BadRequest, Facts, RequestFault, RequestKind

if TYPE_CHECKING:
    from oidcgate.gate.parts import GateParts
    from oidcgate.gate.refusals import Refusal

__all__ = ["ASGIApp", "AsyncGate"]

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The longest body a route of the gate takes: an answer of the IdP by form_post, or a form of ours.
_ROUTE_BODY_BYTES: Final = 65_536
_HEALTH_PATH: Final = GATE_PATH + "healthz"
_AT_THE_PROVIDER: Final = frozenset(
    {
        LOGIN_PATH,
        CALLBACK_PATH,
        LOGOUT_PATH,
        BACKCHANNEL_LOGOUT_PATH,
        FRONTCHANNEL_LOGOUT_PATH,
        SESSION_FRAME_PATH,
        SESSION_CHECK_PATH,
    }
)
_BUSY: Final = decisions.Unavailable(UnavailableReason.BUSY)
_BUSY_SESSION: Final = Unavailable(UnavailableReason.BUSY)


class AsyncGate(Front[ASGIApp]):
    """An ASGI app that lets to `app` only whom the policy lets in, and tells it who they are.

    Takes the arguments of `Gate`. Nothing of a request reaches `app` before the decision, and its body is
    never read here. An admitted request or WebSocket carries `scope["oidcgate.identity"]` (an `Identity`)
    when it is known who sent it, and the headers of `forward.preset` where one is set; every copy of such
    names that came from outside is gone on every branch. Whatever lasts is judged anew every ten seconds and
    ends when its session does. Answers of `app` pass through as they are, but for a Set-Cookie that names a
    cookie of the gate.

    Stores and the IdP are waited for in threads, a bounded number for each; when all are taken and as many
    requests wait as may, the answer is 503.

    Spec: ASGI 3.0.
    """

    def _compose(self, app: ASGIApp, parts: "GateParts") -> None:
        # Apart, so that an IdP which does not answer never keeps anybody from a session that is there.
        self._stores = Pool("oidcgate-stores", threads=16, queue=1024)
        self._provider = Pool("oidcgate-provider", threads=16, queue=256)
        # Few may wait: whoever finds no place goes on with the tokens that are there.
        self._renewals = Pool("oidcgate-renewals", threads=16, queue=32)
        # Anybody may send passwords to compare, which takes long: only each other have they to wait for.
        self._break_glass = Pool("oidcgate-break-glass", threads=AT_ONCE, queue=16)
        self._clock: Callable[[], float] = parts.clock
        super()._compose(app, parts)
        # Looked up once: each request needs it.
        self._strip = self.reserved.strip_headers

    def _serve(self, parts: "GateParts") -> None:
        super()._serve(parts)
        self._watch = Watch(self._may_go_on)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection. Scopes other than `http`, `websocket` and `lifespan` are refused."""
        if scope["type"] not in ("http", "websocket"):
            if scope["type"] == "lifespan":
                return await self._live(scope, receive, send)
            raise ValueError(f"ASGI scope of type {scope['type']!r}: cannot be judged, so it does not pass")
        # First, on every branch: what is public, refused or answered here is free of foreign identity too.
        headers = self._strip(scope["headers"])
        try:
            facts, cookies = read_head(scope, headers, insecure_encoded_slash=self.encoded_slash)
            if not self.forwards:
                check_path(scope, facts.path)
            here = self if self.hosts is None else self.at(facts)
        except BadRequest as bad:
            return await self._refuse(decisions.Refuse(bad.reason, bad.status), None, scope, headers, send)
        now = int(self._clock())
        try:
            decision, session = at_once(here.judge, facts, cookies, now)
        except WouldWait:
            decision, session = await here._asked(facts, cookies, now)
        if isinstance(decision, decisions.Allow):
            if not self.forwards and scope.get("root_path") and not here._may_see_cut(scope, facts, session):
                cut = decisions.Refuse(RequestFault.CUT_BY_CLIENT, 400)
                return await here._refuse(cut, None, scope, headers, send)
            return await here._pass_on(decision, session, facts, cookies, now, scope, headers, receive, send)
        if isinstance(decision, decisions.Answer):
            return await here._answer(facts, scope, headers, receive, send)
        if isinstance(decision, decisions.Refuse) and decision.status == 401:
            said = dict(headers)
            length, kind = said.get(b"content-length", b""), said.get(b"content-type", b"")
            if here.parts.refusals.forms.wants(facts, kind.decode("latin-1"), length.decode("latin-1")):
                return await here._refuse_form(decision, facts, scope, headers, receive, send)
        return await here._refuse(decision, facts, scope, headers, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's start and stop are its own; when it is over, our threads go too."""
        try:
            await self.app(scope, receive, send)
        finally:
            self._stores.close()
            self._provider.close()
            self._renewals.close()
            self._break_glass.close()

    def _may_see_cut(self, scope: Scope, facts: Facts, session: Session) -> bool:
        """Whether the app may be asked for what lies behind `root_path` as well: it may look at that alone.

        Daphne takes it from any client's header: /public/users, cut behind /public, would be judged as public
        and served as /users.
        """
        root = scope["root_path"].rstrip("/")
        if not facts.path.startswith(root):
            return True
        behind = facts.path[len(root) :] or "/"
        if behind[0] != "/":
            return False
        there = facts._replace(path=behind)
        now = int(self.parts.clock())
        return type(decisions.decide(there, session, self.parts.policy, now)) is decisions.Allow

    async def _asked(self, facts: Facts, cookies: str, now: int) -> Judgement:
        """The judgement for which store or directory have to be waited for, or the IdP for new tokens."""
        try:
            judgement = await self._stores.run(self.judge, facts, cookies, now, False)
        except PoolFull:
            # What is public stays so: it needs nobody's session.
            return decisions.decide(facts, _BUSY_SESSION, self.parts.policy, now), _BUSY_SESSION
        if self.judge.asks_provider(judgement[1], now):
            with contextlib.suppress(PoolFull):
                return await self._renewals.run(self.judge, facts, cookies, now)
        return judgement

    async def _may_go_on(self, ongoing: Ongoing) -> bool:
        now = int(self._clock())
        facts = ongoing.facts
        if facts.kind is RequestKind.NAVIGATION:
            # What has begun cannot be sent away any more, to sign in silently.
            facts = facts._replace(kind=RequestKind.SCRIPT)
        try:
            decision, session = at_once(self.judge, facts, ongoing.cookies, now)
        except WouldWait:
            decision, session = await self._asked(facts, ongoing.cookies, now)
        # An outage logs nobody out: what was let in goes on until somebody can say that it must not.
        if type(session) is Unavailable:
            return isinstance(decision, decisions.Allow | decisions.Unavailable)
        # On a public path too: the app was told who it is and cannot be told that this is over.
        return isinstance(decision, decisions.Allow) and (decision.identified or not ongoing.identified)

    async def _pass_on(
        self,
        decision: decisions.Allow,
        session: Session,
        facts: Facts,
        cookies: str,
        now: int,
        scope: Scope,
        headers: list[tuple[bytes, bytes]],
        receive: Receive,
        send: Send,
    ) -> None:
        passed = dict(scope)
        # Whatever a middleware in front says: the gate vouches for nobody but whom it knows.
        passed.pop(IDENTITY_ENVIRON, None)
        passed.pop(ACCESS_TOKEN_ENVIRON, None)
        passed.pop(FORWARD, None)
        touched: list[str] = []
        if decision.identified and type(session) is Found:
            passed[IDENTITY_ENVIRON] = session.person.identity
            if session.access_token is not None:
                passed[ACCESS_TOKEN_ENVIRON] = session.access_token
            if session.forwarded:
                passed[FORWARD] = session.forwarded
                if not self.forwards:
                    headers += session.forwarded
            if now >= session.touch_at:
                touched = await self._touched(session, now)
        if cookies:
            kept = self.kept_cookies(cookies, session)
            if kept != cookies:
                headers = [pair for pair in headers if pair[0] != b"cookie"]
                if kept:
                    headers.append((b"cookie", kept.encode("latin-1")))
        passed["headers"] = headers
        if scope["type"] == "websocket":
            # The head that opens a tunnel is the one answer that does not pass us on its way out.
            passed[DROP_COOKIE] = self._is_gate_cookie
            passed[TUNNEL_HEADERS] = _encoded(cookies_to_add(touched, ""))
        ongoing = self._watch.begin(facts, cookies, identified=decision.identified)
        started = ""

        def guarded(message: Message) -> Awaitable[None]:
            nonlocal started
            if ongoing.ended:
                # Also of an app that takes its cancellation for something to recover from.
                raise asyncio.CancelledError
            if message["type"] in _STARTS:
                started = message["type"]
                message = self._guarded(message, touched)
                if message.get("status") == 401 and decision.identified:
                    message = self._to_sign_in(message, facts)
            return send(message)

        try:
            await self.app(passed, receive, guarded)
        except asyncio.CancelledError:
            if not ongoing.ended:
                raise
            # Ours, and not the server's: the task goes on, to tell the client.
            self._watch.end(ongoing)
            while ongoing.task.uncancel():
                pass
            await self._cut(scope, started, send)
        finally:
            self._watch.end(ongoing)

    async def _touched(self, session: Found, now: int) -> list[str]:
        touch = self.parts.sessions.touch
        try:
            return at_once(touch, session, now)
        except WouldWait:
            try:
                return await self._stores.run(touch, session, now)
            except PoolFull:
                # The next request records the use as well.
                return []

    def _guarded(self, message: Message, touched: list[str]) -> Message:
        """The beginning of the app's answer: gate cookies it sets are dropped, ours are added."""
        headers = message.get("headers") or ()
        for name, value in headers:
            # By length first: this runs for each header of each answer.
            if len(name) == 10 and self._sets_gate_cookie(name, value):
                kept = [pair for pair in headers if not self._sets_gate_cookie(*pair)]
                message = {**message, "headers": kept}
                break
        if touched:
            headers = list(message.get("headers") or ())
            said = b",".join(value for name, value in headers if name.lower() == b"cache-control")
            headers += _encoded(cookies_to_add(touched, said.decode("latin-1")))
            message = {**message, "headers": headers}
        return message

    def _to_sign_in(self, message: Message, facts: Facts) -> Message:
        """A 401 by which the app asks for another sign-in, as the redirect to it; its body stays."""
        headers = list(message.get("headers") or ())
        asked = [value.decode("latin-1") for name, value in headers if name.lower() == b"www-authenticate"]
        url = self.step_up_url(asked, facts) if asked else None
        if url is None:
            return message
        kept = [pair for pair in headers if pair[0].lower().decode("latin-1") not in REPLACED_BY_REDIRECT]
        kept += _encoded([("Location", url), ("Cache-Control", "no-store")])
        return {**message, "status": 302, "headers": kept}

    def _sets_gate_cookie(self, name: bytes, value: bytes) -> bool:
        return name.lower() == b"set-cookie" and self._is_gate_cookie(value)

    def _is_gate_cookie(self, value: bytes) -> bool:
        return names_gate_cookie(value.decode("latin-1"), self.parts.names)

    async def _cut(self, scope: Scope, started: str, send: Send) -> None:
        """End what may go on no longer. An answer that has begun is left unfinished: the server cuts it.

        Args:
            started: the message by which the app began to answer; "" when it has not.
        """
        upgrade = (scope.get("extensions") or {}).get(UPGRADE)
        if upgrade is not None and upgrade.taken:
            # The tunnel has said so to both ends and closed the connection.
            return
        if not started:
            await send_answer(_SIGNED_OUT, scope, send)
        elif started == "websocket.accept":
            # Spec: RFC 6455 7.4.1, 1008 policy violation.
            await send({"type": "websocket.close", "code": 1008, "reason": "signed out"})

    async def _refuse(
        self,
        decision: "Refusal",
        facts: Facts | None,
        scope: Scope,
        headers: Headers,
        send: Send,
    ) -> None:
        environ = whole_environ(scope, headers, b"")
        response = self.parts.refusals.respond(decision, facts, environ)
        await send_answer(answered(response, environ), scope, send)

    async def _refuse_form(
        self,
        decision: "Refusal",
        facts: Facts,
        scope: Scope,
        headers: Headers,
        receive: Receive,
        send: Send,
    ) -> None:
        """The refusal of a form that may be kept until its sender has signed in."""
        body = await read_body(receive, self.parts.refusals.forms.limit_bytes)
        environ = whole_environ(scope, headers, body or b"")

        def respond() -> Answered:
            return answered(self.parts.refusals.respond(decision, facts, environ), environ)

        try:
            answer = await self._stores.run(respond)
        except PoolFull:
            return await self._refuse(decision, facts, scope, headers, send)
        await send_answer(answer, scope, send)
        return None

    async def _answer(
        self, facts: Facts, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> None:
        body = b""
        if scope["type"] == "http" and facts.method not in ("GET", "HEAD"):
            read = await read_body(receive, _ROUTE_BODY_BYTES)
            if read is None:
                return await send_answer(_BODY_TOO_LARGE, scope, send, Outcome.GATE)
            body = read
        environ = whole_environ(scope, headers, body)

        def respond() -> Answered:
            return answered(self.parts.routes.respond(environ), environ)

        if facts.path == _HEALTH_PATH:
            # Asks nobody, and has to answer most of all when everything else waits.
            return await send_answer(respond(), scope, send, Outcome.GATE)
        # The routes are the same with a slash at their end.
        pool = self._pool_of(facts.path.removesuffix("/"))
        try:
            answer = await pool.run(respond)
        except PoolFull:
            return await self._refuse(_BUSY, facts, scope, headers, send)
        await send_answer(answer, scope, send, Outcome.GATE)
        return None

    def _pool_of(self, path: str) -> Pool:
        if path in _AT_THE_PROVIDER or path.startswith(f"{CALLBACK_PATH}/"):
            return self._provider
        return self._break_glass if path == BREAK_GLASS_PATH else self._stores


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


_STARTS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_BODY_TOO_LARGE: Final = Answered(
    413,
    [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), (b"connection", b"close")],
    b'{"error": "body_too_large"}',
)
_SIGNED_OUT: Final = Answered(
    401,
    [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), (b"connection", b"close")],
    b'{"error": "login_required"}',
)
