"""What modules about sign-outs have in common: the request, the way back, and that nobody is signed in."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from tests.conformance.op.browser import Callback, Journey, Page, Traveller
from tests.conformance.op.outcome import Failure, need
from tests.conformance.op.run import Grant, Run, without_its_own_query
from tests.conformance.op.sessions import NEEDS_THE_PERSON
from tests.conformance.op.target import LogoutClient

CLAUSE = "OIDC RP-Initiated Logout 2"
_Registered = TypeVar("_Registered")


def registered(table: _Registered | None, name: str) -> _Registered:
    """What a plan needs to know of the target. The runner does not begin without it."""
    assert table is not None, f"[{name}]"
    return table


def check_members(run: Run, *flags: str, urls: tuple[str, ...] = ("end_session_endpoint",)) -> None:
    """That the metadata has these flags, all true, and these URLs, and every endpoint over TLS."""
    for flag in flags:
        value = run.metadata.get(flag)
        need(value is True, f"{flag} is {value!r}, not true", "OIDC Discovery 3")
    for name in urls:
        need(name in run.metadata, f"the metadata has no {name}", "OIDC Discovery 3")
    for name, url in run.metadata.items():
        if name in urls or name.endswith("_endpoint"):
            parts = urlsplit(str(url))
            secure = isinstance(url, str) and parts.scheme == "https" and bool(parts.netloc)
            need(secure, f"{name} is {url!r}, not https", "OIDC Discovery 3")


@dataclass(frozen=True)
class SignedIn:
    """Somebody who signed in at a client, with a browser."""

    run: Run
    client: LogoutClient
    browser: Traveller
    grant: Grant

    def request(self, **changes: str | None) -> dict[str, str]:
        """A whole request of the client; a change to None leaves the parameter out."""
        standard = {
            "id_token_hint": self.grant.id_token,
            "post_logout_redirect_uri": self.client.post_logout_redirect_uri,
            # A long one has to come back whole.
            "state": secrets.token_urlsafe(96),
        }
        return {name: value for name, value in {**standard, **changes}.items() if value is not None}

    def sign_out(self, request: dict[str, str]) -> Journey:
        """Send the person to the provider, where they agree to whatever is asked."""
        endpoint = self.run.endpoint("end_session_endpoint")
        url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(request)}" if request else endpoint
        return self.browser.travel(url, self.run.target.sign_out)

    def came_back(self, journey: Journey, request: dict[str, str]) -> None:
        """The sign-out ended at the client, with the state that was sent and nothing else."""
        end = journey.end
        need(isinstance(end, Callback), f"the sign-out did not come back: {end}", CLAUSE)
        assert isinstance(end, Callback)
        right = request["post_logout_redirect_uri"]
        at_home = end.uri == right.partition("?")[0]
        need(at_home, f"the sign-out ended at {end.uri}, not at {right}", CLAUSE)
        end = without_its_own_query(end, right)
        need(end.method == "GET", f"the sign-out came back as {end}", "OIDC RP-Initiated Logout 3")
        answer = dict(end.query)
        state, sent = answer.pop("state", None), request.get("state")
        need(state == sent, f"state is {state!r}, not {sent!r}", CLAUSE)
        others = sorted(answer) + sorted(name for name, _ in (*end.fragment, *end.form))
        self.run.warn_unless(not others, f"the way back carries {others} too", "OIDC RP-Initiated Logout 3")

    def signed_out(self, journey: Journey) -> None:
        """The sign-out ended at a page that is no error and asks for nothing."""
        end = journey.end
        need(isinstance(end, Page), f"nobody asked to come back, and yet came {end}", CLAUSE)
        assert isinstance(end, Page)
        need(end.status == 200, f"no page that says that nobody is signed in, but {end}", CLAUSE)
        need("html" in end.content_type, f"the page is {end.content_type!r}, nothing for a person", CLAUSE)

    def stayed(self, journey: Journey) -> None:
        """The address was not followed, neither at once nor when the person agreed to be signed out."""
        end = journey.end
        need(isinstance(end, Page), f"the sign-out was followed: {end}", CLAUSE)
        assert isinstance(end, Page)
        need(end.status in (200, 400), f"neither an error nor a question, but {end}", CLAUSE)
        need("html" in end.content_type, f"the page is {end.content_type!r}, nothing for a person", CLAUSE)

    def is_over(self) -> None:
        """Without being asked, nobody gets anything more."""
        request = self.run.parameters(client=self.client, prompt="none")
        journey = self.run.authorize(request, self.browser)
        if isinstance(journey.end, Page):
            raise Failure(f"after the sign-out came {journey.end}", "OIDC Core 3.1.2.6")
        need(not journey.asked, f"the person was asked: {journey.asked}", "OIDC Core 3.1.2.1")
        self.run.refused(journey, request, *NEEDS_THE_PERSON)


@contextmanager
def signed_in(run: Run, client: LogoutClient, *elsewhere: str) -> Iterator[SignedIn]:
    """Somebody who signs in with a browser that was never here; it stops at the URIs named here too."""
    browser = run.target.browser(*elsewhere)
    try:
        yield SignedIn(run, client, browser, run.complete(browser=browser, client=client))
    finally:
        browser.close()
