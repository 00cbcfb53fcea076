"""Real Chromium for what needs scripts and frames, with the clients' sites behind it.

Every host of a client's URI leads to a `Receiver` of this process, so that it is seen what asks for them.
The browser believes its certificate alone, and for the provider's the authorities of the system or of the
target.
"""

import base64
import datetime
import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import BrowserContext, Response
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page as Tab

from tests.conformance.op.browser import (
    Answer,
    Callback,
    Journey,
    Page,
    Submission,
    forms_of,
    is_one_of,
    pairs_of,
)
from tests.conformance.op.outcome import Failure
from tests.conformance.op.receiver import EMPTY, Receiver
from tests.conformance.op.run import Run
from tests.conformance.op.target import Receiving, Target
from tests.support.chromium import chromium

#: After so long without a change, a page is where a journey ends.
_PATIENCE_SECONDS = 8
_POLL_MILLISECONDS = 30
_LONGEST_JOURNEY_SECONDS = 60
#: Fill in the form of an index and press its button, as a person would.
_SUBMIT = """([index, values]) => {
    const form = document.forms[index], elements = [...form.elements];
    const buttons = elements.filter((element) => element.type === "submit");
    for (const field of elements) {
        if (!buttons.includes(field) && field.name in values) field.value = values[field.name];
    }
    const pressed = buttons.find((button) => button.name && values[button.name] === button.value);
    form.requestSubmit(pressed ?? buttons.find((button) => !button.name) ?? buttons[0]);
}"""


class Screen:
    """One browser window that was never here. See `Traveller` for `travel`.

    Attributes:
        tab: what the modules look at themselves.
        clients: what was asked for at the clients' sites.
    """

    def __init__(self, tab: Tab, clients: Receiver, uris: Sequence[str]) -> None:
        self.tab = tab
        self.clients = clients
        self._uris = tuple(uris)
        self._last: Response | None = None
        tab.on("response", self._note)

    def _note(self, response: Response) -> None:
        if response.request.is_navigation_request() and response.frame == self.tab.main_frame:
            self._last = response

    def travel(self, url: str, answer: Answer, *, form: Sequence[tuple[str, str]] | None = None) -> Journey:
        """Open ``url``, fill in pages, and go where that leads, by redirects and by scripts."""
        assert form is None, "only links are opened here"
        self._go(url)
        asked: list[str] = []
        since = began = time.monotonic()
        answered: tuple[Response | None, str] | None = None
        while time.monotonic() - began < _LONGEST_JOURNEY_SECONDS:
            if is_one_of(self.tab.url, self._uris):
                return Journey(self._arrived(), tuple(asked))
            page = self._page()
            here = (self._last, self.tab.url)
            if page is not None and here != answered:
                submission = answer(page)
                if submission is not None:
                    asked.append(submission.kind)
                    answered, since = here, time.monotonic()
                    self._submit(page, submission)
                    continue
            # Nothing comes after an error.
            patience = _PATIENCE_SECONDS if page is not None and page.status < HTTPStatus.BAD_REQUEST else 0
            if page is not None and time.monotonic() - since >= patience:
                return Journey(page, tuple(asked))
            self.tab.wait_for_timeout(_POLL_MILLISECONDS)
        raise Failure(f"no end after {_LONGEST_JOURNEY_SECONDS} s; asked: {asked}", "OIDC Core 3.1.2.1")

    def _go(self, url: str) -> None:
        try:
            self.tab.goto(url)
        except PlaywrightError as error:
            # A script of the page went on before the page was whole.
            if "interrupted" not in str(error) and "ERR_ABORTED" not in str(error):
                raise Failure(f"the browser cannot open {url}: {error.message}", "RFC 9110 7.3") from None

    def _page(self) -> Page | None:
        """What is shown; None while it changes."""
        try:
            text, last = self.tab.content(), self._last
        except PlaywrightError:
            return None
        status = last.status if last is not None else 0
        content_type = last.headers.get("content-type", "") if last is not None else ""
        return Page(self.tab.url, status, content_type, text, tuple(forms_of(text)))

    def _submit(self, page: Page, submission: Submission) -> None:
        try:
            with self.tab.expect_event("framenavigated", timeout=20_000):
                self.tab.evaluate(_SUBMIT, [page.forms.index(submission.form), submission.values])
        except PlaywrightError as error:
            raise Failure(
                f"nothing came of the form at {page.url}: {error.message}", "HTML 4.10.22"
            ) from None

    def _arrived(self) -> Callback:
        rest, fragment = urldefrag(self.tab.url)
        uri, _, query = rest.partition("?")
        return Callback("GET", uri, pairs_of(query), pairs_of(fragment))


class Windows:
    """One Chromium, started when it is first needed, and the clients' sites behind it; closed by `close`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stack = ExitStack()

    def close(self) -> None:
        """End the browser."""
        self._stack.close()

    @cached_property
    def _running(self) -> tuple[BrowserContext, Receiver]:
        target = self._target
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        framed = [] if target.frontchannel is None else [target.frontchannel.frontchannel_logout_uri]
        hosts = sorted({urlsplit(uri).netloc for uri in (*target.uris, *framed)})
        certificate, key, pin = _certificate(folder, [host.partition(":")[0] for host in hosts])
        clients = Receiver(Receiving("", "127.0.0.1:0", certificate, key), otherwise=EMPTY)
        self._stack.callback(clients.close)
        rules = ", ".join(
            f"MAP {host}{'' if ':' in host else ':443'} 127.0.0.1:{clients.port}" for host in hosts
        )
        switches = [f"--host-resolver-rules={rules}", f"--ignore-certificate-errors-spki-list={pin}"]
        authority = None if target.ca_file is None else Path(target.ca_file)
        browser = chromium(folder / "browser", authority=authority, switches=switches)
        return self._stack.enter_context(browser), clients

    @contextmanager
    def window(self) -> Iterator[Screen]:
        """A window in a browser that was never anywhere, until the block ends."""
        context, clients = self._running
        context.clear_cookies()
        clients.calls.clear()
        tab = context.new_page()
        try:
            yield Screen(tab, clients, self._target.uris)
        finally:
            tab.close()


@contextmanager
def window(run: Run) -> Iterator[Screen]:
    """A window for a module: of the Chromium that its run was given, or of one of its own."""
    if run.windows is not None:
        with run.windows.window() as given:
            yield given
        return
    windows = Windows(run.target)
    try:
        with windows.window() as own:
            yield own
    finally:
        windows.close()


def _certificate(folder: Path, hosts: Sequence[str]) -> tuple[str, str, str]:
    """A certificate for the clients' hosts, its key, and the hash by which the browser knows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the clients of the modules")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, public = serialization.Encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "clients.pem").write_bytes(certificate.public_bytes(encoding.PEM))
    (folder / "clients.key").write_bytes(
        key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    digest = hashlib.sha256(key.public_key().public_bytes(encoding.DER, public)).digest()
    return str(folder / "clients.pem"), str(folder / "clients.key"), base64.b64encode(digest).decode()
