"""Cookies in and out: a small reader, an exact writer, and the names a gate gives its own. Pure.

What a cookie's value means is the subject of `oidcgate.web.sealing` and of its readers. Nothing here decides
how long a session lives (`oidcgate.gate.session`) or how many logins may be in flight.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "GATE_PATH",
    "CookieNames",
    "SameSite",
    "cookie_value",
    "cookies_with_prefix",
    "delete_cookie",
    "has_gate_cookie",
    "names_gate_cookie",
    "set_cookie",
    "strip_cookies",
]

SameSite = Literal["Lax", "Strict", "None"]

# In every name of every gate: a header without it has nothing of ours.
_MARK: Final = "oidcgate-"

# Of `state`, 96 bits: the app's requests carry the name while an attempt is under way, and nobody can make an
# attempt whose `state` begins like that of somebody else's.
_PROOF_CHARACTERS: Final = 16

#: Path of every gate route, and of every cookie that only those need.
GATE_PATH: Final = "/.oidcgate/"


@dataclass(frozen=True, slots=True)
class CookieNames:
    """The names of one gate's cookies; `of` derives them.

    Two gates on one host (cookies know no ports) never share a name, because each name holds a hash of the
    gate's public URL. It holds nothing else: with another setting, or another order of providers, cookies
    would be left behind that live again when that is put back.

    Attributes:
        session: the session's cookie, path `/`.
        transaction_prefix: start of the name of each login attempt's cookie, path `/.oidcgate/`.
        proof_prefix: start of the name of the cookie that proves whose attempt that is, path `/`.
        loop: the cookie that counts logins which led to no session, path `/.oidcgate/`.
        choice: the cookie that remembers which provider was chosen last, path `/.oidcgate/`.
        form: the cookie that binds forms which wait for a sign-in to their browser, path `/`.
        break_glass: the cookie that the token of the break-glass form is bound to, path `/`.
        secure: whether cookies carry `Secure`; False only on http, which is for loopback.
    """

    session: str
    transaction_prefix: str
    proof_prefix: str
    loop: str
    choice: str
    form: str
    break_glass: str
    secure: bool

    @classmethod
    def of(cls, public_url: str) -> "CookieNames":
        """The names for the gate at `public_url`."""
        gate = hashlib.sha256(public_url.encode()).hexdigest()[:12]
        secure = public_url.startswith("https://")
        # __Host- binds to host and path "/"; the others have a narrower path and so get the lesser prefix.
        host, path = ("__Host-", "__Secure-") if secure else ("", "")
        return cls(
            session=f"{host}oidcgate-{gate}",
            transaction_prefix=f"{path}oidcgate-tx-{gate}-",
            # A sibling host can set the one above, and none with this prefix.
            proof_prefix=f"{host}oidcgate-at-{gate}-",
            loop=f"{path}oidcgate-loop-{gate}",
            choice=f"{path}oidcgate-idp-{gate}",
            # A sibling host that could set it could have its own form sent by somebody else.
            form=f"{host}oidcgate-form-{gate}",
            break_glass=f"{host}oidcgate-break-glass-{gate}",
            secure=secure,
        )

    def transaction(self, state: str) -> str:
        """Name of the cookie of the login attempt with this `state`."""
        return self.transaction_prefix + state

    def proof(self, state: str) -> str:
        """Name of the cookie that proves that this browser began the login attempt with this `state`."""
        return self.proof_prefix + state[:_PROOF_CHARACTERS]

    def said_in(self, text: str) -> bool:
        """Whether a text says the name of one of this gate's cookies."""
        return (
            self.session in text
            or self.loop in text
            or self.choice in text
            or self.form in text
            or self.break_glass in text
            or self.transaction_prefix in text
            or self.proof_prefix in text
        )


def cookie_value(header: str, name: str) -> str | None:
    """The value of the one cookie called `name` in a Cookie header.

    None when there is none, and also when there are several: a browser sends two cookies of one name only
    when somebody else (a sibling host, a script on plain http) has set the other, and which one is ours is
    not to be told from here. Quotes are part of the value.
    """
    at = header.find(name)
    if at < 0:
        return None
    end_of_name = at + len(name)
    # Nearly always the name occurs once, and where a name stands: then its value is cut out directly.
    if (
        header.find(name, end_of_name) < 0
        and header[end_of_name : end_of_name + 1] == "="
        and (at == 0 or header[at - 1] == ";" or header[at - 2 : at] == "; ")
    ):
        end = header.find(";", end_of_name)
        return (header[end_of_name + 1 :] if end < 0 else header[end_of_name + 1 : end]).strip(" \t")
    values = [value for key, value in _pairs(header) if key == name]
    return values[0] if len(values) == 1 else None


def cookies_with_prefix(header: str, prefix: str) -> list[tuple[str, str]]:
    """Name and value of each cookie whose name starts with `prefix`, in order, without repeated names."""
    pairs = [pair for pair in _pairs(header) if pair[0].startswith(prefix)]
    # Counted in one go: a client may send tens of thousands.
    times = Counter(name for name, _ in pairs)
    return [pair for pair in pairs if times[pair[0]] == 1]


def has_gate_cookie(header: str) -> bool:
    """Whether a Cookie header has a cookie of any gate."""
    return _MARK in header


def strip_cookies(header: str, names: CookieNames) -> str:
    """A Cookie header without this gate's cookies; "" when nothing is left.

    The other cookies keep their order and their bytes. One that says the name of one of ours goes with it.
    """
    if _MARK not in header:
        return header
    before, found, after = header.rpartition(f"; {names.session}=")
    if found and _MARK not in before:
        # As browsers send it: one cookie of ours among others, so its neighbours are joined without a look.
        value, _, rest = after.partition("; ")
        if _MARK not in rest and ";" not in value:
            return f"{before}; {rest}" if rest else before
    # Wherever it is said: WSGI servers join Cookie headers that a client repeats by commas, and no cookie of
    # an app has reason to say the name of one of ours.
    return ";".join(part for part in header.split(";") if not names.said_in(part)).strip()


def _pairs(header: str) -> list[tuple[str, str]]:
    pairs = []
    for part in header.split(";"):
        key, equals, value = part.partition("=")
        if equals:
            pairs.append((key.strip(" \t"), value.strip(" \t")))
    return pairs


_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*", re.ASCII)
_ATTRIBUTE = re.compile(r"[ -:<-~]*", re.ASCII)


def set_cookie(
    name: str,
    value: str,
    *,
    path: str,
    max_age: int | None = None,
    secure: bool,
    same_site: SameSite = "Lax",
    http_only: bool = True,
) -> str:
    """The value of a Set-Cookie header.

    Args:
        name: a token; `value`: cookie octets only (RFC 6265 4.1.1). Never encoded here.
        path: which requests send it back.
        max_age: seconds it is kept; None: as long as the browser keeps its session.

    Raises:
        ValueError: name, value or path holds a character that would break out of the header, or
            `SameSite=None` without `Secure`, which browsers drop.
    """
    if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value) and _ATTRIBUTE.fullmatch(path)):
        # The value stays unsaid: it may be a session.
        raise ValueError(f"cookie {name!r}: name, value or path has a character that a cookie cannot hold")
    if same_site == "None" and not secure:
        raise ValueError(f"cookie {name!r}: SameSite=None needs Secure")
    parts = [f"{name}={value}", f"Path={path}"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if http_only:
        parts.append("HttpOnly")
    if secure:
        parts.append("Secure")
    parts.append(f"SameSite={same_site}")
    return "; ".join(parts)


def delete_cookie(name: str, *, path: str, secure: bool, same_site: SameSite = "Lax") -> str:
    """The value of a Set-Cookie header that makes the browser forget a cookie set with the same path."""
    return set_cookie(name, "", path=path, max_age=0, secure=secure, same_site=same_site)


def names_gate_cookie(set_cookie_value: str, names: CookieNames) -> bool:
    """Whether a Set-Cookie of the app is for a cookie of this gate, in any spelling a browser may accept.

    An app that could set the session's cookie could sign its users in as somebody else.
    """
    # A cookie without a name is sent back as its bare value, which may look like "name=value".
    name = set_cookie_value.partition(";")[0].strip(" \t").lstrip("= \t").partition("=")[0].rstrip(" \t")
    name = name.lower()
    ours = (names.session, names.loop, names.choice, names.form, names.break_glass)
    prefixes = (names.transaction_prefix.lower(), names.proof_prefix.lower())
    return name in [one.lower() for one in ours] or name.startswith(prefixes)
