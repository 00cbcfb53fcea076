"""What an answer tells about a gate and what is around it, and how to mend it. Pure.

Here lives `Finding`, and how each kind of answer is judged: an IdP's time, its authorization and its token
endpoint, what answers at the public URL. Who is asked, and in which order, is `doctor` next door.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs, urlsplit

from oidcgate.jose.keys import VerificationKey
from oidcgate.net.fetch import Head
from oidcgate.protocol.errors import NEED_A_PERSON, Reason, Refused
from oidcgate.web.cookies import CookieNames

__all__ = [
    "Finding",
    "Verdict",
    "judge_clock",
    "judge_keys",
    "judge_liveness",
    "judge_login",
    "judge_proxies",
    "judge_redeeming",
    "judge_redirect_uri",
]

# `Date` names whole seconds, and its answer was some time on its way.
_UNSEEN_SECONDS: Final = 2


class Verdict(StrEnum):
    """How much a finding matters."""

    FINE = "ok"
    DOUBT = "warning"
    WRONG = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it is about, such as "public URL" or the issuer.
        verdict: `WRONG`: sign-ins fail, or are not safe. `DOUBT`: they may, or it cannot be told from here.
        says: what was seen.
        fix: what to do about it; "" where nothing is to be done.
    """

    subject: str
    verdict: Verdict
    says: str
    fix: str = ""


def judge_clock(issuer: str, date: str | None, sent_at: float, received_at: float, allowed: int) -> Finding:
    """The clock of an IdP beside ours, by the `Date` of an answer.

    Args:
        issuer: whose clock it is.
        date: the field; None when there is none.
        sent_at: our time when the request left, in epoch seconds.
        received_at: and when the answer was there.
        allowed: `provider.clock_skew_seconds`.

    Spec: RFC 9110 6.6.1.
    """
    try:
        said = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return Finding(issuer, Verdict.DOUBT, "does not tell its time, so clocks cannot be compared")
    ahead, behind = max(0.0, said - received_at), max(0.0, sent_at - said)
    skew = ahead + behind
    if skew <= _UNSEEN_SECONDS:
        return Finding(issuer, Verdict.FINE, "its clock and this one agree")
    which = "ahead of" if ahead else "behind"
    says = f"its clock is {skew:.0f} s {which} this one; {allowed} s are borne"
    verdict = Verdict.WRONG if skew > allowed else Verdict.DOUBT
    return Finding(issuer, verdict, says, "have both set by NTP, or raise provider.clock_skew_seconds")


def judge_keys(issuer: str, keys: Sequence[VerificationKey], algorithms: Iterable[str]) -> Finding:
    """Whether the keys of an IdP can verify what it signs."""
    wanted = tuple(algorithms)
    usable = [key for key in keys if any(key.fits(alg) for alg in wanted)]
    if not usable:
        return Finding(
            issuer,
            Verdict.WRONG,
            f"has {len(keys)} key(s), none of them for {' '.join(wanted)}",
            "add the algorithm of its keys to provider.id_token_algorithms, or another key there",
        )
    return Finding(issuer, Verdict.FINE, f"{len(usable)} key(s) for {' '.join(wanted)}")


def judge_redirect_uri(issuer: str, head: Head, redirect_uri: str) -> Finding:
    """Whether an IdP knows this client and its callback, by its answer to a request with `prompt=none`.

    Spec: RFC 6749 4.1.2.1: nobody is sent to a redirect URI that is not registered; OIDC Core 3.1.2.6.
    """
    if head.location and _is_at(head.location, redirect_uri):
        query = urlsplit(head.location)
        error = parse_qs(query.query or query.fragment).get("error", [""])[0]
        # It asks for a person only where it knows client and redirect URI.
        if not error or error in NEED_A_PERSON:
            return Finding(issuer, Verdict.FINE, f"knows the redirect URI {redirect_uri}")
        return Finding(
            issuer,
            Verdict.WRONG,
            f"knows the redirect URI, and refuses the request: {_shown(error)}",
            "compare scopes, response type and the rights of this client there",
        )
    if 300 <= head.status < 400 or head.status == 200:
        return Finding(
            issuer,
            Verdict.DOUBT,
            "shows a page of its own before it judges the request, so the redirect URI cannot be checked",
            f"make sure that {redirect_uri} is registered there, byte for byte",
        )
    return Finding(
        issuer,
        Verdict.WRONG,
        f"refuses the request itself (status {head.status})",
        f"register the redirect URI {redirect_uri} there, byte for byte, and compare provider.client_id",
    )


def judge_redeeming(issuer: str, answer: Refused | None) -> Finding:
    """Whether an IdP believes who the gate is, by its answer to a code that nobody was given.

    Spec: RFC 6749 5.2.
    """
    if answer is not None and answer.reason is Reason.PROVIDER_ERROR:
        if answer.error == "invalid_grant":
            return Finding(issuer, Verdict.FINE, "takes the client's proof at its token endpoint")
        if answer.error in ("invalid_client", "unauthorized_client"):
            return Finding(
                issuer,
                Verdict.WRONG,
                f"does not believe who this client is ({answer.error})",
                "compare provider.client_id, its secret or key, and provider.token_endpoint_auth_method",
            )
    said = "gives tokens for a made-up code" if answer is None else f"answers otherwise: {answer}"
    return Finding(
        issuer,
        Verdict.DOUBT,
        f"its token endpoint {said}",
        "look into the log of the IdP; whether it knows this client cannot be told",
    )


def judge_liveness(public_url: str, status: int) -> Finding:
    """Whether it is a gate that answers at the public URL."""
    if status == 200:
        return Finding("public URL", Verdict.FINE, f"{public_url} leads to a gate")
    return Finding(
        "public URL",
        Verdict.WRONG,
        f"{public_url}/.oidcgate/healthz answers {status}, which is no gate",
        "have whatever stands in front pass every path to the gate, /.oidcgate/ included",
    )


def judge_login(head: Head, names: CookieNames, callback_url: str, client_id: str) -> Iterator[Finding]:
    """How a sign-in begins at the public URL: its cookie, and the callback and the client that it names.

    Args:
        head: the answer to a browser that wants to sign in.
        names: of the cookies of this configuration.
        callback_url: the redirect URI of this configuration.
        client_id: of this configuration, at the provider that is asked.
    """
    if not 300 <= head.status < 400:
        if head.status == 200:
            yield Finding("public URL", Verdict.FINE, "a sign-in begins with a page of the gate")
        elif head.status == 421:
            yield Finding(
                "public URL",
                Verdict.WRONG,
                "requests arrive there for another host (status 421)",
                "have whatever stands in front pass Host on as it came, and let the gate there read this "
                "configuration",
            )
        else:
            yield Finding(
                "public URL",
                Verdict.WRONG,
                f"a sign-in there ends at once (status {head.status})",
                "look into the log of the gate",
            )
        return
    asked = parse_qs(urlsplit(head.location).query)
    for what, expected, setting in (
        ("redirect URI", callback_url, "public_url"),
        ("client id", client_id, "client_id"),
    ):
        said = asked.get(what.lower().replace(" ", "_"), [expected])[0]
        if said != expected:
            yield Finding(
                "public URL",
                Verdict.WRONG,
                f"the gate that answers there names another {what}: {_shown(said)}",
                f"let it read this configuration, or correct {setting}",
            )
    ours = [_attributes(cookie) for cookie in head.cookies if cookie.startswith(names.transaction_prefix)]
    if not ours:
        yield Finding(
            "cookies",
            Verdict.WRONG,
            "a sign-in sets no cookie of this gate",
            "have what stands in front pass Set-Cookie on as it is, "
            "and let the gate there read this configuration",
        )
        return
    wanted = {"httponly", "samesite=lax", "path=/.oidcgate/"}
    if names.secure:
        wanted.add("secure")
    lacking = sorted(wanted - ours[0])
    if lacking or any(flag.startswith("domain=") for flag in ours[0]):
        what = f"without {', '.join(lacking)}" if lacking else "with a Domain"
        yield Finding(
            "cookies",
            Verdict.WRONG,
            f"the cookie of a sign-in arrives {what}",
            "have what stands in front pass Set-Cookie on as it is",
        )
        return
    kind = "Secure, HttpOnly" if names.secure else "HttpOnly, on http and this machine only"
    yield Finding("cookies", Verdict.FINE, f"arrive as they were set: {kind}")


def judge_proxies(public_host_is_loopback: bool, bind: str, trusted: Sequence[str]) -> Finding:
    """Whether the proxy in front of a sidecar is believed what it says of clients."""
    if trusted:
        return Finding("trusted proxies", Verdict.FINE, f"believed: {', '.join(trusted)}")
    local = bind.startswith(("127.", "localhost", "[::1]", "unix:"))
    if local and not public_host_is_loopback:
        peer = "unix" if bind.startswith("unix:") else "::1" if bind.startswith("[") else "127.0.0.1"
        return Finding(
            "trusted proxies",
            Verdict.DOUBT,
            "something in front of the sidecar must carry the public URL, and is believed nothing: the app "
            "and the logs see its address in place of the client's",
            f'list it: proxy.trusted_proxies = ["{peer}"]',
        )
    return Finding("trusted proxies", Verdict.FINE, "none: nobody is believed what they say of a client")


def _is_at(location: str, redirect_uri: str) -> bool:
    return location == redirect_uri or location.startswith((redirect_uri + "?", redirect_uri + "#"))


def _attributes(set_cookie: str) -> set[str]:
    return {one.strip().lower() for one in set_cookie.split(";")[1:]}


def _shown(said: str) -> str:
    """What somebody else said, to be read at a terminal."""
    return ascii(said)[1:-1][:200]
