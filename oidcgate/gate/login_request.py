"""What a link to `/.oidcgate/login` asks for, read and bounded; with what the rule of its target asks. Pure.

Here live both kinds of link: ours (`rd`, `idp`, `prompt`, `max_age`, `acr_values`, `fragment`, `form`) and
the one by which another site begins a sign-in here (`iss`, `target_link_uri`, `login_hint`; OIDC Core 4).
What becomes of them is `login_start` next door.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final

from oidcgate.gate.kept_forms import FORM_ID
from oidcgate.gate.policy import Policy
from oidcgate.gate.rule_settings import PROMPTS
from oidcgate.web.canonical_path import path_of
from oidcgate.web.facts import BadRequest

__all__ = ["SILENT", "LoginFault", "LoginRequest", "from_another_site", "of_our_own"]

#: The one prompt that only a link of our own asks for: whoever is signed in gets new tokens, unseen.
SILENT: Final = ("none",)
_MOST_CONTEXTS: Final = 10
_LONGEST_HINT: Final = 200
# As `fragments` next door makes them.
_FRAGMENT_KEY = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_THEIRS: Final = ("iss", "target_link_uri", "login_hint")

#: What makes a path of our own of a target that may lead anywhere; None where it leads away.
ReturnPath = Callable[[str], str | None]


class LoginFault(StrEnum):
    """What makes a request to these routes impossible to understand."""

    MAX_AGE = "max_age_malformed"
    PROVIDER = "provider_unknown"
    RESPONSE_MODE = "response_mode_mismatch"
    ISSUER = "issuer_missing"
    TARGET = "target_not_ours"
    REPEATED = "parameter_repeated"
    FRAMED = "sign_in_begun_in_a_frame"


@dataclasses.dataclass(frozen=True)
class LoginRequest:
    """A sign-in that somebody asks for.

    Attributes:
        return_path: where it leads; a path of our own.
        issuer: the one provider that it is to be at; None: any.
        prompt: what the provider is to do.
        max_age_seconds: how long ago the person may have proved who they are; None: any time.
        acr_values: authentication contexts of which the sign-in must have one; empty: any.
        login_hint: a name that another site suggests. It proves nothing.
        fragment: the key under which the browser keeps the fragment of the target; "": it has none; None: it
            has not been asked.
        form: the id of the form that waits for it; "": none does.
    """

    return_path: str
    issuer: str | None = None
    prompt: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    acr_values: tuple[str, ...] = ()
    login_hint: str | None = None
    fragment: str | None = None
    form: str = ""

    def under(self, policy: Policy) -> "LoginRequest":
        """The same with what the rule of its target asks for: more may be asked than that, never less.

        Which provider counts is the rule's to say alone: another one's word would not let anybody in there.
        Of authentication contexts any one serves, so what is left are those that serve both; where none does,
        the rule's. Where the rule wants the person to be asked, nobody signs in silently.

        Spec: OIDC Core 3.1.2.1 ("none" stands alone).
        """
        rule = policy.rule_for("GET", path_of(self.return_path))
        if rule is None:
            # Refused once it is asked for.
            return self
        ages = [age for age in (self.max_age_seconds, rule.max_age_seconds) if age is not None]
        both = tuple(value for value in self.acr_values if value in rule.acr_values)
        asked = () if self.prompt == SILENT else self.prompt
        return dataclasses.replace(
            self,
            issuer=rule.issuer or self.issuer,
            prompt=tuple(dict.fromkeys((*asked, *rule.prompt))) if rule.prompt else self.prompt,
            max_age_seconds=min(ages, default=None),
            acr_values=(both or rule.acr_values) if rule.acr_values else self.acr_values,
        )


def of_our_own(
    pairs: Iterable[tuple[str, str]], return_path: ReturnPath, issuers: Mapping[str, str]
) -> LoginRequest:
    """What a link of our own asks for.

    Args:
        pairs: its query.
        return_path: judges `rd`; what leads away from our origin counts as "/".
        issuers: of the providers, by name.

    Raises:
        BadRequest: `idp` names no provider, or `max_age` is no number of seconds.
    """
    values = dict(pairs)
    name, prompt = values.get("idp"), values.get("prompt", "").split()
    if name is not None and name not in issuers:
        raise BadRequest(LoginFault.PROVIDER)
    return LoginRequest(
        return_path(values.get("rd", "")) or "/",
        issuer=None if name is None else issuers[name],
        prompt=SILENT if tuple(prompt) == SILENT else tuple(word for word in prompt if word in PROMPTS),
        max_age_seconds=_max_age(values.get("max_age")),
        acr_values=tuple(values.get("acr_values", "").split()[:_MOST_CONTEXTS]),
        fragment=_fragment_key(values.get("fragment")),
        form=values["form"] if FORM_ID.fullmatch(values.get("form", "")) else "",
    )


def from_another_site(
    pairs: Iterable[tuple[str, str]], return_path: ReturnPath, issuers: Mapping[str, str], *, hint: bool
) -> LoginRequest | None:
    """What another site asks for, or None when this is no such request: it names no `iss`.

    Args:
        pairs: its query or form.
        return_path: judges `target_link_uri`, which is refused when it leads away: whoever wrote it meant
            another site, and would land on a page of ours that they did not ask for.
        issuers: of the providers, by name.
        hint: whether `login_hint` is passed on.

    Raises:
        BadRequest: it names an issuer that is not configured or a target that is not ours, or says something
            twice.

    Spec: OIDC Core 4.
    """
    theirs = [(name, value) for name, value in pairs if name in _THEIRS]
    values = dict(theirs)
    if "iss" not in values:
        return None
    if len(values) < len(theirs):
        raise BadRequest(LoginFault.REPEATED)
    if values["iss"] not in issuers.values():
        raise BadRequest(LoginFault.PROVIDER)
    wanted = values.get("target_link_uri")
    target = "/" if wanted is None else return_path(wanted)
    if target is None:
        raise BadRequest(LoginFault.TARGET)
    said = values.get("login_hint", "")
    usable = hint and 0 < len(said) <= _LONGEST_HINT and said.isprintable()
    return LoginRequest(target, issuer=values["iss"], login_hint=said if usable else None)


def _fragment_key(said: str | None) -> str | None:
    if said is None:
        return None
    return said if _FRAGMENT_KEY.fullmatch(said) else ""


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadRequest(LoginFault.MAX_AGE)
    return int(text)
