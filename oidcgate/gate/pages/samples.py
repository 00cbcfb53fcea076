"""Examples of what each of the gate's pages is given, by which an operator's own templates are tried.

Between them they reach every branch of our templates. What a page needs is said in the package itself.
"""

from collections.abc import Mapping
from typing import Any, Final

from oidcgate.gate.pages import BreakGlassProblem, Choice, ErrorKind, LoopCheck

__all__ = ["PAGES_ELSEWHERE", "SAMPLES"]

#: The page of the proxy, whose templates may lie in the same folder.
PAGES_ELSEWHERE: Final = ("app_down.html",)

_SITE: Final = "app.example.com"
_INCIDENT: Final = "7K3F-Q9WD-2MXA"
_SIGNS_OUT: Final = {"action": "/.oidcgate/logout", "hidden": {"switch": "1", "rd": "/"}}
_LOGIN: Final = "/.oidcgate/login?rd=%2F"

_GIVEN: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    "choose.html": (
        {"choices": (Choice("Staff", _LOGIN, last=True), Choice("Partners", _LOGIN, last=False))},
    ),
    "passing.html": ({"url": _LOGIN, "key": "AAAAAAAAAAAAAAAAAAAAAA", "script": ""},),
    "answer.html": ({"action": "/.oidcgate/callback?again=", "fields": (("code", "a-code"),), "script": ""},),
    "unknown_user.html": tuple(
        {"user_name": "alice", "inactive": inactive, **_SIGNS_OUT} for inactive in (False, True)
    ),
    "somebody_else.html": ({"user_name": "alice", "incident": _INCIDENT, **_SIGNS_OUT},),
    "error.html": (
        *({"kind": kind, "incident": _INCIDENT, "retry_url": _LOGIN} for kind in ErrorKind),
        {"kind": ErrorKind.FORBIDDEN, "incident": None, "retry_url": None},
    ),
    "session_ended.html": tuple({"login_url": _LOGIN, "kept": kept} for kept in (False, True)),
    "resend.html": (
        {
            "user_name": "alice",
            "action": "/orders?of=today",
            "enctype": "multipart/form-data",
            "fields": (("amount", "12"),),
            "path": "/orders",
        },
    ),
    "unavailable.html": (
        {"retry_url": "", "retry_after_seconds": 30, "incident": _INCIDENT, "break_glass_url": _LOGIN},
        {"retry_url": None, "retry_after_seconds": None, "incident": _INCIDENT, "break_glass_url": None},
    ),
    "break_glass.html": tuple(
        {
            "username": "alice",
            "action": "/.oidcgate/break-glass",
            "hidden": {"csrf": "a token"},
            "problem": problem,
            "retry_after_seconds": None if problem is None else 60,
        }
        for problem in (None, *BreakGlassProblem)
    ),
    "logout.html": tuple(
        {"user_name": user, "action": "/.oidcgate/logout", "hidden": {"rd": "/"}, "cancel_url": "/"}
        for user in ("alice", None)
    ),
    "logged_out.html": (
        {"everywhere": True, "login_url": _LOGIN},
        {"everywhere": False, "login_url": None},
    ),
    "login_loop.html": tuple(
        {
            "check": check,
            "address": "https://app.example.com",
            "incident": _INCIDENT,
            "retry_url": _LOGIN,
        }
        for check in LoopCheck
    ),
}
SAMPLES: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    template: tuple({"site": _SITE, **given} for given in each) for template, each in _GIVEN.items()
}
