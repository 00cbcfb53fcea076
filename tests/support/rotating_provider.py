"""An identity provider that rotates refresh tokens and revokes all of them when one comes twice.

It is `LyingProvider` with a refresh grant; what it saw is counted, and what happens while it answers is a
test's to say.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.support.lying_provider import CLIENT_ID, Clock, LyingProvider, changed


class RotatingProvider(LyingProvider):
    """One identity provider.

    Attributes:
        sent_tokens: every refresh token that came, in order.
        good: the one refresh token that is good; None: none is (any more).
        ended: whether it has said that the grant is over, or a token came twice.
        lifetime: of access tokens, in seconds.
        rotates: whether each refresh brings a successor.
        refreshed: lies over the answer to a refresh token, by member.
        refreshed_claims: lies over the ID token in it.
        while_refreshing: called when a refresh token has come and its successor is made; before the answer.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.sent_tokens: list[str] = []
        self.good: str | None = None
        self.ended = False
        self.lifetime = 300
        self.rotates = True
        self.refreshed: dict[str, Any] = {}
        self.refreshed_claims: dict[str, Any] = {}
        self.while_refreshing: Callable[[], object] = lambda: None
        self.tokens = {"refresh_token": self.next_token(), "expires_in": self.lifetime}

    def next_token(self) -> str:
        """A new refresh token, the only good one."""
        self.good = f"refresh-{len(self.sent_tokens)}"
        return self.good

    def _token(self, request: Any, context: Any) -> dict[str, Any]:
        form = dict(parse_qsl(request.text))
        if form.get("grant_type") != "refresh_token":
            return super()._token(request, context)
        assert self._authenticated(request.headers.get("Authorization", ""), form)
        return self._refreshed(form, context)

    def _refreshed(self, form: Mapping[str, str], context: Any) -> dict[str, Any]:
        token = form["refresh_token"]
        used_before = self.rotates and token in self.sent_tokens
        self.sent_tokens.append(token)
        if self.ended or used_before or token != self.good:
            # Spec: RFC 9700 4.14.2.
            self.ended = True
            context.status_code = 400
            return {"error": "invalid_grant"}
        successor = {"refresh_token": self.next_token()} if self.rotates else {}
        self.while_refreshing()
        context.status_code = self.status
        now = int(self.clock())
        claims = {
            "iss": self.issuer,
            "sub": "sub-of-alice",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
        }
        return changed(
            {
                "access_token": f"access-{len(self.sent_tokens)}",
                "token_type": "Bearer",
                "expires_in": self.lifetime,
                "id_token": self.signed(changed(claims, self.refreshed_claims)),
                **successor,
            },
            self.refreshed,
        )
