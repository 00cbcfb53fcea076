"""Forms that were sent when nobody was signed in any more, kept until their sender is (G-10).

Only what a page of our own sent is kept: anything else would let another site have its POST sent with the
authority of whoever signs in next. A form lies sealed in the state store, in one of a fixed number of places,
and is given only to the browser that sent it (a cookie that no other site can set), signed in, on a page that
sends it again when its button is pressed. Nothing of it is sent by itself. Where the session that had ended
still says whose it was, nobody else is given it.

Not here: the page that says so (`refusals`), the one that sends it again (`routes`), and the attempt that
carries its id (`transaction`); all are next door.
"""

import base64
import dataclasses
import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from oidcgate.gate.decision import return_path_of
from oidcgate.storage.records import RecordStore, StoreUnavailable
from oidcgate.web.cookies import CookieNames, cookie_value, set_cookie
from oidcgate.web.facts import Facts, RequestKind
from oidcgate.web.form_body import PostedForm, is_form, posted_form
from oidcgate.web.sealing import Sealer

__all__ = ["FORM_ID", "KEEP_SECONDS", "PLACES", "KeptForms", "KeptNow"]

log = logging.getLogger("oidcgate.gate")

#: A sign-in takes ten minutes at most, and may be begun a little later.
KEEP_SECONDS: Final = 1800
#: How many forms all browsers together may have waiting. A program can look like a browser: it must not be
#: able to fill the store.
PLACES: Final = 256
_TRIES: Final = 8
_KIND: Final = "kept-form"
_RANDOM_BYTES: Final = 16
#: What an id looks like: its place, and what cannot be guessed.
FORM_ID: Final = re.compile(r"([0-9a-f]{2})-[A-Za-z0-9_-]{22}", re.ASCII)
_BROWSER = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class KeptNow(NamedTuple):
    """A form that is kept from now on: its id, and the Set-Cookie value that binds it to its browser."""

    form_id: str
    cookie: str


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    form_id: str
    browser: bytes
    action: str
    content_type: str
    fields: tuple[tuple[str, str], ...]
    person: tuple[str, str] | None


@dataclasses.dataclass(frozen=True)
class KeptForms:
    """Keeps forms.

    Attributes:
        sealer: seals for this purpose and this gate only.
        origins: our own, as a browser writes them.
        limit_bytes: the longest body that is kept; 0: none.
        person_behind: whose session a Cookie header has or had, as (iss, sub); see `Sessions.person_behind`.
    """

    store: RecordStore
    sealer: Sealer
    names: CookieNames
    origins: Collection[str]
    limit_bytes: int
    person_behind: Callable[[str], tuple[str, str] | None]
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]

    def wants(self, facts: Facts, content_type: str, content_length: str) -> bool:
        """Whether the body of a request is worth reading, by what its head says."""
        return (
            facts.method == "POST"
            and facts.kind is RequestKind.NAVIGATION
            and content_length.isascii()
            and content_length.isdigit()
            and len(content_length) < 10
            and 0 < int(content_length) <= self.limit_bytes
            and is_form(content_type)
            and facts.is_same_origin(self.origins)
        )

    def keep(self, facts: Facts, environ: Mapping[str, Any]) -> KeptNow | None:
        """Read the body of a request and keep it, if it is one to be kept.

        Returns:
            None when it is not: it is of another site, too long, has a file, or there is no place left. A
            store that does not answer costs the form and nothing else.
        """
        content_type = environ.get("CONTENT_TYPE", "")
        length = environ.get("CONTENT_LENGTH") or ""
        if not self.wants(facts, content_type, length):
            return None
        body = environ["wsgi.input"].read(int(length))
        form = posted_form(content_type, body) if len(body) == int(length) else None
        action = return_path_of(facts)
        # What cannot be written as it came would be sent somewhere else.
        whole = action != "/" or facts.path == "/"
        if form is None or not whole or ("?" in action) != bool(facts.query):
            return None
        cookies = environ.get("HTTP_COOKIE", "")
        said = cookie_value(cookies, self.names.form) or ""
        browser = said if _BROWSER.fullmatch(said) else self._random()
        form_id = self._put(cookies, browser, action, form)
        if form_id is None:
            return None
        cookie = set_cookie(
            self.names.form, browser, path="/", max_age=KEEP_SECONDS, secure=self.names.secure
        )
        return KeptNow(form_id, cookie)

    def open(
        self, form_id: str, cookies: str, person: tuple[str, str] | None
    ) -> tuple[str, PostedForm] | None:
        """Where a form is to be sent, and the form.

        Args:
            person: who is signed in, as (iss, sub); None for nobody, who may be told where it leads at most.

        Returns:
            None when this browser has none of that id any more, or it is another person's.

        Raises:
            StoreUnavailable: it cannot be said.
        """
        browser = cookie_value(cookies, self.names.form)
        named = FORM_ID.fullmatch(form_id)
        if browser is None or named is None:
            return None
        record = self.store.get(_KIND, named[1], now=int(self.clock()))
        plain = None if record is None else self.sealer.open(record.value.decode("ascii", "replace"))
        if plain is None:
            return None
        try:
            stored = msgspec.msgpack.decode(plain, type=_Stored)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # the latter for text that is not UTF-8
            return None
        right = hmac.compare_digest(stored.form_id.encode(), form_id.encode())
        own = hmac.compare_digest(stored.browser, _digest(browser))
        another = None not in (person, stored.person) and person != stored.person
        if another or not (right and own):
            return None
        return stored.action, PostedForm(stored.content_type, stored.fields)

    def _put(self, cookies: str, browser: str, action: str, form: PostedForm) -> str | None:
        now = int(self.clock())
        try:
            person = self.person_behind(cookies)
            for _ in range(_TRIES):
                place = f"{self.random_bytes(1)[0] % PLACES:02x}"
                if self.store.get(_KIND, place, now=now) is not None:
                    # A look is cheap: whoever finds all places taken must not make a store busy with writes.
                    continue
                form_id = f"{place}-{self._random()}"
                stored = _Stored(form_id, _digest(browser), action, form.content_type, form.fields, person)
                value = self.sealer.seal(msgspec.msgpack.encode(stored), now).encode()
                if self.store.swap(
                    _KIND, place, expected_version=None, value=value, expires_at=now + KEEP_SECONDS, now=now
                ):
                    return form_id
        except StoreUnavailable as error:
            log.warning("a form is not kept: %s", error)
            return None
        log.info("a form is not kept: %d others wait for a sign-in", PLACES)
        return None

    def _random(self) -> str:
        return base64.urlsafe_b64encode(self.random_bytes(_RANDOM_BYTES)).rstrip(b"=").decode()


def _digest(browser: str) -> bytes:
    """The browser's cookie as it is kept: who reads the store cannot write the cookie."""
    return hashlib.sha256(browser.encode("utf-8", "surrogateescape")).digest()
