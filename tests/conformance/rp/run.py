"""One run of one module: its provider, the relying party, and the person's browsers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests
from requests.cookies import RequestsCookieJar

from tests.conformance.op.outcome import Failure, need
from tests.conformance.rp.alias import Alias
from tests.conformance.rp.answers import form_of
from tests.conformance.rp.target import RelyingParty

if TYPE_CHECKING:
    from tests.conformance.rp.screen import Windows

_NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
_SECONDS = 30
#: How often a relying party is asked that may be several processes.
_TIMES = 8


class Browser:
    """A person's browser: cookies, redirects, and forms of the provider that send themselves."""

    def __init__(self, rp: RelyingParty) -> None:
        self._rp = rp
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = rp.ca_file

    def sign_in(self, issuer: str) -> requests.Response:
        """Begin a sign-in and follow it to where it ends."""
        return self.go(self._rp.login_at(issuer))

    def go(self, url: str) -> requests.Response:
        """Go to an address and follow it to where it ends; a page of the provider sends its form on."""
        shown = self._session.get(url, headers=_NAVIGATION, timeout=_SECONDS)
        elsewhere = urlsplit(shown.url).netloc != urlsplit(self._rp.page).netloc
        return self._posted(shown) if elsewhere and shown.status_code == 200 else shown

    def _posted(self, page: requests.Response) -> requests.Response:
        """Post the form of another site's page, and follow to where that ends."""
        form, place = form_of(page.text), urlsplit(page.url)
        headers = {"Origin": f"{place.scheme}://{place.netloc}", "Sec-Fetch-Site": "cross-site"}
        request = self._session.prepare_request(
            requests.Request("POST", form.action, _NAVIGATION | headers, data=list(form.fields))
        )
        # Of the cookies only those with SameSite=None come along with what another site posts.
        crossing = RequestsCookieJar()
        for cookie in self._session.cookies:
            if str(cookie.get_nonstandard_attr("SameSite")).lower() == "none":
                crossing.set_cookie(cookie)
        request.headers.pop("Cookie", None)
        request.prepare_cookies(crossing)
        answer = self._session.send(request, timeout=_SECONDS, allow_redirects=False)
        if answer.status_code == 200 and "<script" in answer.text and form_of(answer.text).action:
            return self._posted_at_home(answer)
        if not answer.is_redirect:
            return answer
        # A GET, with which cookies come along again.
        url = urljoin(answer.url, answer.headers["Location"])
        return self._session.get(url, headers=_NAVIGATION, timeout=_SECONDS)

    def _posted_at_home(self, page: requests.Response) -> requests.Response:
        """Post the form of a page of the relying party's own, with all cookies; follow to where that ends."""
        form, place = form_of(page.text), urlsplit(page.url)
        headers = {"Origin": f"{place.scheme}://{place.netloc}", "Sec-Fetch-Site": "same-origin"}
        url = urljoin(page.url, form.action)
        return self._session.post(url, list(form.fields), headers=_NAVIGATION | headers, timeout=_SECONDS)

    def is_led_to(self, host: str, url: str) -> bool:
        """Whether an address leads to this host, which itself is not asked."""
        while urlsplit(url).hostname != host:
            answer = self._session.get(url, headers=_NAVIGATION, allow_redirects=False, timeout=_SECONDS)
            if answer.next is None or answer.next.url is None:
                return False
            url = answer.next.url
        return True

    def load_in_frame(self, url: str) -> requests.Response:
        """Load an address in a frame of a page on another site."""
        cookies = {
            str(cookie.name): str(cookie.value)
            for cookie in self._session.cookies
            if str(cookie.get_nonstandard_attr("SameSite")).lower() == "none"
        }
        headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
        headers |= {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
        with requests.Session() as crossing:
            crossing.trust_env = False
            return crossing.get(
                url, headers=headers, cookies=cookies, verify=self._rp.ca_file, timeout=_SECONDS
            )

    def become(self, cookies: Mapping[str, str]) -> None:
        """Be the browser that has these cookies of the relying party, and no others."""
        self._session.cookies.clear()
        self._session.cookies.update(cookies)

    def is_out(self) -> bool:
        """Whether the relying party does not show it its page any more, whoever of it answers."""
        return not any(self.is_in(connection="close") for _ in range(_TIMES))

    def is_in(self, *, connection: str = "keep-alive") -> bool:
        """Whether the relying party shows its page to this browser."""
        return self.seen(connection=connection) is not None

    def seen(self, *, connection: str = "keep-alive") -> str | None:
        """What the relying party shows on its page; None where it lets nobody in."""
        headers = {"Accept": "application/json", "Connection": connection}
        shown = self._session.get(self._rp.page, headers=headers, allow_redirects=False, timeout=_SECONDS)
        need(shown.status_code in (200, 401), f"the page answers {shown.status_code}", "the target")
        return shown.text if shown.status_code == 200 else None

    def sign_out(self) -> requests.Response:
        """Press the button that signs out, and follow to where it leads."""
        place = urlsplit(self._rp.logout)
        headers = {"Origin": f"{place.scheme}://{place.netloc}", "Sec-Fetch-Site": "same-origin"}
        return self._session.post(self._rp.logout, headers=_NAVIGATION | headers, timeout=_SECONDS)

    def close(self) -> None:
        """Let go of its connections."""
        self._session.close()


@dataclass
class Run:
    """What a module has at hand.

    Attributes:
        op: the provider that the module plays.
        wait_seconds: how long nothing more may be asked after a refusal.
        browser: the person's.
        other: the same person's second one.
        windows: a Chromium for the modules that need one; None: each starts its own.
        notes: what is to be known of a module that passed.
    """

    op: Alias
    rp: RelyingParty
    wait_seconds: float
    browser: Browser
    other: Browser
    windows: "Windows | None" = None
    notes: list[str] = field(default_factory=list)
    ahead_seconds: float = 0

    @classmethod
    @contextmanager
    def of(
        cls, op: Alias, rp: RelyingParty, wait_seconds: float, windows: "Windows | None"
    ) -> "Iterator[Run]":
        """A run with new browsers, closed at the end."""
        run = cls(op, rp, wait_seconds, Browser(rp), Browser(rp), windows)
        try:
            yield run
        finally:
            if run.ahead_seconds and rp.set_ahead:
                rp.set_ahead(0)
            run.browser.close()
            run.other.close()

    def accepted(self, clause: str, browser: Browser | None = None) -> None:
        """A sign-in works: tokens, userinfo, a session."""
        need(self.is_accepted(clause, browser), "the sign-in is refused", clause)
        need("userinfo" in self.op.calls, "userinfo was not asked", "OIDC Core 5.3")

    def refused(self, clause: str, *, at: str = "token") -> None:
        """A sign-in that has to be refused is, once `at` has been asked, and userinfo is not asked for it."""
        need(not self.is_accepted(clause), "the sign-in is accepted", clause)
        need(at in self.op.calls, f"{at} was not asked, so nothing was judged", clause)
        if at != "userinfo":
            need(
                not self.op.is_asked("userinfo", self.wait_seconds), "userinfo was asked all the same", clause
            )

    def is_accepted(self, clause: str, browser: Browser | None = None) -> bool:
        """Try a sign-in; whether it made a session. What is shown has to say the same."""
        browser = browser or self.browser
        return self.is_in_after(browser.sign_in(self.op.issuer).status_code, clause, browser)

    def is_in_after(self, shown: int, clause: str, browser: Browser) -> bool:
        """Whether a sign-in that ended with this status made a session. The status has to say the same."""
        self.no_faults()
        inside = browser.is_in()
        need(shown != 500, "the relying party breaks", clause)
        need(
            (shown == 200) == inside, f"the sign-in ends with {shown}, and the session says {inside}", clause
        )
        return inside

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass for the relying party."""
        if self.rp.set_ahead is None:
            time.sleep(seconds)  # real time is the only one that a relying party elsewhere has
        else:
            self.ahead_seconds += seconds
            self.rp.set_ahead(self.ahead_seconds)

    def starts_anew(self) -> None:
        """Forget what was asked so far."""
        self.op.calls.clear()

    def no_faults(self) -> None:
        """Nothing was asked so far that a client must not ask.

        Raises:
            Failure: something was.
        """
        if self.op.faults:
            raise Failure("; ".join(self.op.faults), "OIDC Core 3.1")
