"""The plan about session management: a frame of the client asks the provider's, over and over, whether its
session is still the same.

Of the module the certification has the first and the third part: "unchanged", a sign-out at the client,
"changed". The others are what section 3 has a client do when it hears "changed" or "error".

Spec: OpenID Connect Session Management 1.0.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Page, Response

from tests.conformance.op.outcome import need
from tests.conformance.rp.alias import SUB, Alias, Answer, a_code
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run
from tests.conformance.rp.screen import window

_ASKING = "OIDC Session Management 3.1"
_CHANGED = "OIDC Session Management 3"
_LONGEST_SECONDS = 10
_POLL_MILLISECONDS = 30
#: What a browser may take from hearing an answer to what it does about it.
_SETTLING_SECONDS = 1.5
#: The provider's frame: it passes on what it is asked, and by whom, and answers what it is told.
_FRAME = """<!doctype html>
<title>Session</title>
<script>
addEventListener("message", async ({ data, origin, source }) => {
  const answer = await fetch(`session_state?${new URLSearchParams({ question: data, origin })}`);
  source.postMessage(await answer.text(), origin);
});
</script>
"""
#: The button of the client, on a page that asks for nothing any more. Pressed once this has returned.
_SIGN_OUT = """(address) => {
    for (const frame of document.querySelectorAll("iframe")) frame.remove();
    const form = document.createElement("form");
    form.method = "post";
    form.action = address;
    document.body.append(form);
    setTimeout(() => form.submit());
}"""


@dataclass
class Session:
    """A session at the provider, as its frame and its authorization endpoint know it.

    Attributes:
        person: who is signed in there; None: nobody.
        state: what the client was given last. Any other has changed.
        is_broken: its frame knows nothing.
        over: the client had it ended, and so need not name it any more, until a page watches the next one.
        heard: what its frame has answered, in order, with what it was asked.
        silent: the requests that wanted no page, in order.
    """

    op: Alias
    person: str | None = SUB
    state: str = ""
    is_broken: bool = False
    over: bool = False
    heard: list[tuple[str, str]] = field(default_factory=list)
    silent: list[Mapping[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Have the provider answer by it."""
        self.op.metadata = {"check_session_iframe": f"{self.op.issuer}check_session"}
        self.op.more = {"check_session": self._frame, "session_state": self._question}
        self.op.authorized = self._authorized
        self.op.on_logout = self._ends

    def changes(self, person: str | None = SUB) -> None:
        """Something happens to it, and then this person is signed in."""
        self.state = ""
        self.person = person
        self.op.id_token = self.op.userinfo = {} if person in (None, SUB) else {"sub": person}

    def _ends(self) -> None:
        self.changes(None)
        self.over = True

    def _frame(self, values: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        return Answer(200, _FRAME, {"Content-Type": "text/html; charset=utf-8"})

    def _question(self, values: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        question = values.get("question", "")
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.op.rp.page))
        client_id, _, state = question.partition(" ")
        if values.get("origin") != origin:
            self.op.fault(f"the frame is asked from {values.get('origin')}")
        wrong = client_id != self.op.rp.client_id or not state or " " in state
        if wrong:
            self.op.fault(f"the frame is asked {question!r}")
        answer = "error" if self.is_broken or wrong else ("unchanged" if state == self.state else "changed")
        self.heard.append((state, answer))
        return Answer(200, answer, {"Content-Type": "text/plain"})

    def _authorized(self, alias: Alias, asked: Mapping[str, str]) -> Mapping[str, str]:
        if asked.get("prompt") == "none":
            self.silent.append(asked)
            if not self.over and [asked.get("id_token_hint")] != alias.id_tokens[-1:]:
                alias.fault("id_token_hint of the silent request is not the last ID token that was given")
            if self.person is None:
                return {"error": "login_required"}
        else:
            self.changes()
        self.state = secrets.token_urlsafe(16)
        return {**a_code(alias, asked), "session_state": self.state}


@dataclass
class Watch:
    """A page of the client that somebody has open, in Chromium.

    Attributes:
        came_back: how often a frame of it came back from the provider.
    """

    run: Run
    session: Session
    tab: Page
    came_back: int = 0

    def __post_init__(self) -> None:
        """Look on."""
        self.tab.on("response", self._note)

    def _note(self, response: Response) -> None:
        # By its address alone: of which frame it is can be asked too early, and an error in here would leave
        # whoever waits for the browser waiting for ever. While a page watches, only frames come back.
        self.came_back += response.url.startswith(self.run.rp.redirect_uri_of(self.run.op.issuer))

    def begins(self) -> None:
        """Sign in and open the page, which then asks whether the session goes on."""
        self.tab.goto(self.run.rp.login_at(self.run.op.issuer), wait_until="domcontentloaded")
        heard = len(self.session.heard)
        self.tab.goto(self.run.rp.watched, wait_until="domcontentloaded")
        need(self.is_in(), "the sign-in is refused", "OIDC Core 3.1")
        self.waits_for(lambda: len(self.session.heard) > heard, "the provider's frame is not asked", _ASKING)
        # Not at the sign-in: what was asked on the page before may still come after it.
        self.session.over = False

    def is_in(self) -> bool:
        """Whether the client would show the page again."""
        # Asked past Chromium, where a question to a page has no end if the page never answers.
        cookies = self.tab.context.cookies(self.run.rp.page)
        self.run.browser.become({cookie["name"]: cookie["value"] for cookie in cookies})
        return self.run.browser.is_in()

    def waits_for(self, holds: Callable[[], bool], otherwise: str, clause: str) -> None:
        """Look on until it holds.

        Raises:
            Failure: it does not, or the client did wrong meanwhile.
        """
        latest = time.monotonic() + _LONGEST_SECONDS
        while not holds():
            self.tab.wait_for_timeout(_POLL_MILLISECONDS)
            self.run.no_faults()
            need(self.tab.url == self.run.rp.watched, f"the whole page was led to {self.tab.url}", _CHANGED)
            need(time.monotonic() < latest, otherwise, clause)

    def keeps_asking(self) -> None:
        """The provider's frame is asked, and asked again, and hears nothing new."""
        silent, heard = len(self.session.silent), len(self.session.heard)
        self.waits_for(
            lambda: len(self.session.heard) > heard + 1, "the provider's frame is not asked again", _ASKING
        )
        asked = len(self.session.silent) > silent
        need(not asked, "the provider is asked, although nothing has changed", _CHANGED)
        need(self.session.heard[-1][1] == "unchanged", "it asks about another session state", _ASKING)
        need(self.is_in(), "the session is over, although nothing has changed", _CHANGED)

    def asks_silently_once_changed(self, person: str | None) -> None:
        """It becomes this person's session; the provider is asked in a frame, without a page, and replies."""
        silent, before = len(self.session.silent), self.came_back
        self.session.changes(person)
        self.waits_for(
            lambda: len(self.session.silent) > silent,
            "the provider is not asked, although something has changed",
            _CHANGED,
        )
        self.waits_for(lambda: self.came_back > before, "the answer did not come to the frame", _CHANGED)

    def is_over(self, otherwise: str) -> None:
        """The session at the client ends, at the latest a moment after the answer."""
        latest = time.monotonic() + self.run.wait_seconds
        while self.is_in():
            need(time.monotonic() < latest, otherwise, _CHANGED)
            self.tab.wait_for_timeout(_POLL_MILLISECONDS)


@module("oidcc-client-test-session-management")
def follows_the_session(run: Run) -> None:
    with window(run) as tab:
        watch = Watch(run, Session(run.op), tab)
        watch.begins()
        watch.keeps_asking()
        _same_person(watch)
        _signed_out_here(watch)
        watch.begins()
        _nobody(watch)
        watch.begins()
        _somebody_else(watch)
        watch.begins()
        _nobody_knows(watch)
        run.no_faults()


def _same_person(watch: Watch) -> None:
    """Signed in anew, for one: the client takes the new state, and goes on."""
    watch.asks_silently_once_changed(SUB)
    watch.keeps_asking()


def _signed_out_here(watch: Watch) -> None:
    """In another tab: the page that is still open hears of it too."""
    tab = watch.tab.context.new_page()
    tab.goto(watch.run.rp.watched)
    heard = len(watch.session.heard)
    tab.evaluate(_SIGN_OUT, watch.run.rp.logout)
    watch.waits_for(
        lambda: watch.session.over,
        "the provider was not asked to end the session",
        "OIDC RP-Initiated Logout 2",
    )
    watch.waits_for(
        lambda: "changed" in [answer for _, answer in watch.session.heard[heard:]],
        "the provider's frame is not asked after the sign-out",
        _ASKING,
    )
    watch.is_over("who signed out is still signed in")
    tab.close()


def _nobody(watch: Watch) -> None:
    watch.asks_silently_once_changed(None)
    watch.is_over("nobody is signed in at the provider, and the session goes on")


def _somebody_else(watch: Watch) -> None:
    watch.asks_silently_once_changed("somebody-else")
    watch.is_over("somebody else is signed in at the provider, and the session goes on")


def _nobody_knows(watch: Watch) -> None:
    """To ask then could lead to asking for ever."""
    session = watch.session
    silent = len(session.silent)
    session.is_broken = True
    watch.waits_for(
        lambda: session.heard[-1][1] == "error", "the provider's frame is not asked again", _ASKING
    )
    watch.tab.wait_for_timeout(1000 * max(watch.run.wait_seconds, _SETTLING_SECONDS))
    need(len(session.silent) == silent, "the provider is asked, although its frame failed", _ASKING)
    need(watch.is_in(), "the session is over, because the frame failed", _ASKING)
