"""The settings of what becomes of claims: what an IdP says, what it is called here, and in which form.

Here live the attributes of a provider and their mappings, the context attributes that a gate declares, the
standard ones that need no declaring, and what can be wrong between them. What the settings do is `context`
next door; how an app is told is `front_settings`.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from oidcgate.gate.claim_path import parse_claim_path
from oidcgate.gate.context_types import MISMATCH, AttributeType, converted
from oidcgate.own_code import name_problem
from oidcgate.settings import Problem, cross_check, setting

__all__ = [
    "EMAIL",
    "FACTS",
    "GROUPS",
    "STANDARD",
    "AttributeSettings",
    "ClaimSettings",
    "ContextAttributeSettings",
    "MappingSettings",
    "Standard",
    "context_problems",
    "schema_of",
]

_TYPES: Final = tuple(map(str, AttributeType))
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)

#: The context attribute of `fetch_groups`.
GROUPS: Final = "groups"
#: The one that may be there and still not be believed.
EMAIL: Final = "email"


class Standard(NamedTuple):
    """A claim that OpenID Connect itself defines: attribute of every IdP, and context attribute."""

    display_name: str
    type: AttributeType = AttributeType.STRING


#: Spec: OIDC Core 5.1.
STANDARD: Final[Mapping[str, Standard]] = MappingProxyType(
    {
        "sub": Standard("Subject"),
        "name": Standard("Full name"),
        "given_name": Standard("Given name"),
        "family_name": Standard("Family name"),
        "middle_name": Standard("Middle name"),
        "nickname": Standard("Nickname"),
        "preferred_username": Standard("User name"),
        "profile": Standard("Profile page"),
        "picture": Standard("Picture"),
        "website": Standard("Web site"),
        "email": Standard("E-mail"),
        "email_verified": Standard("E-mail verified", AttributeType.BOOL),
        "gender": Standard("Gender"),
        "birthdate": Standard("Birth date"),
        "zoneinfo": Standard("Time zone"),
        "locale": Standard("Language"),
        "phone_number": Standard("Telephone"),
        "phone_number_verified": Standard("Telephone verified", AttributeType.BOOL),
        "address": Standard("Address", AttributeType.OBJECT),
        "updated_at": Standard("Updated", AttributeType.NUMBER),
    }
)

#: What a session says of itself: no attribute, not to be mapped or changed, and there for headers as well.
FACTS: Final = frozenset({"sub", "iss", "idp", "acr", "amr", "auth_time"})


def _path_problem(value: str) -> str | None:
    try:
        parse_claim_path(value)
    except ValueError as error:
        return str(error)
    return None


def _source_problem(value: str | None) -> str | None:
    return None if value is None else _path_problem(value)


def _amr_problem(value: tuple[str, ...]) -> str | None:
    if all(value) and len(set(value)) == len(value):
        return None
    return 'has an entry that is empty or repeated; write methods as in ["mfa"]'


def _table_problem(value: Mapping[str, Any] | None) -> str | None:
    if value is not None and not all(acr and isinstance(amr, str) and amr for acr, amr in value.items()):
        return 'has an entry that is not a text; write each as "the acr" = "method"'
    return None


def _hook_problem(value: str | None) -> str | None:
    return None if value is None else name_problem(value)


@dataclasses.dataclass(frozen=True)
class AttributeSettings:
    """One of `[[provider.attributes]]`: a claim beside the standard ones."""

    claim: str = setting(
        check=_path_problem,
        help=r"Where it is: department, address.country; \. for a dot of the name, as in "
        r"https://example\.com/groups.",
    )
    display_name: str = setting(default="", help="What `oidcgate explain` calls it.")
    type: str = setting(
        default="string", choices=_TYPES, help="What it has to be; a value that is not is told and left out."
    )


@dataclasses.dataclass(frozen=True)
class MappingSettings:
    """One of `[[provider.mappings]]`; of several with one target the first that has a value holds."""

    target: str = setting(help="The context attribute: a standard one, or one of `[[context]]`.")
    source: str | None = setting(
        default=None,
        check=_source_problem,
        help="The attribute that it comes from: a standard claim, or one of attributes. This or static.",
    )
    static: str | None = setting(
        default=None, help="The same text for everybody of this provider, in place of a source."
    )
    allow_weak_decoding: bool = setting(
        default=False,
        help='Decode "1" and "true" as booleans, numbers from text and into it, a single value as a list.',
    )

    @cross_check
    def _one_origin(self) -> Iterable[Problem]:
        if (self.source is None) == (self.static is None):
            found = "has neither source nor static" if self.source is None else "has both source and static"
            yield Problem("target", self.target, found, "give it one of them")


@dataclasses.dataclass(frozen=True)
class ContextAttributeSettings:
    """One of `[[context]]`: a context attribute beside the standard ones."""

    name: str = setting(help="What sessions, headers and mappings call it.")
    type: str = setting(default="string", choices=_TYPES, help="What its values are.")
    description: str = setting(default="", help="What it means, for whoever reads this.")


@dataclasses.dataclass(frozen=True)
class ClaimSettings:
    """The part of a provider's settings that says what becomes of its claims."""

    fetch_groups: bool = setting(
        default=False, help="Take the claim groups, and hand it on; without it there are no groups anywhere."
    )
    attributes: tuple[AttributeSettings, ...] = setting(
        default=(), help="Claims beside the standard ones; what is not declared goes nowhere."
    )
    mappings: tuple[MappingSettings, ...] = setting(
        default=(), help="Attributes under another name; those of the same name need none."
    )
    insecure_unverified_email: bool = setting(
        default=False,
        help="Take an e-mail address also where email_verified is there and is not true. Otherwise such an "
        'address is left out, and with users.match = "email" its sign-in is refused.',
    )
    amr: tuple[str, ...] = setting(
        default=(), check=_amr_problem, help="What amr says of every sign-in here, whatever the IdP says."
    )
    acr_to_amr: Mapping[str, Any] | None = setting(
        default=None,
        check=_table_problem,
        help="The method that amr says for a value of acr, in place of what the IdP says; other values leave "
        "amr as it came. Unset: the template's, which entrust has.",
    )
    hook: str | None = setting(
        default=None,
        check=_hook_problem,
        help="Python code (module:callable) that may change the context of each sign-in here.",
    )
    hook_seconds: float = setting(
        default=2.0, minimum=0.01, maximum=60, help="How long the hook may take; then it has failed."
    )
    hook_required: bool = setting(
        default=True,
        help="Whether a hook that fails stops the sign-in; false: it goes on without the changes.",
    )
    context_cache_seconds: int | None = setting(
        default=None,
        minimum=1,
        help="How long a sign-in here serves without asking the IdP again, for new sign-ins too; after it "
        "people are sent there. Unset: each sign-in goes to the IdP, and sessions last as [session] says.",
    )

    @cross_check
    def _attributes_apart(self) -> Iterable[Problem]:
        seen = set(STANDARD)
        for index, entry in enumerate(self.attributes):
            if entry.claim in seen:
                fix = "remove it: standard claims are there by themselves"
                yield Problem(
                    f"attributes[{index}].claim",
                    entry.claim,
                    "is declared already",
                    fix if entry.claim in STANDARD else "keep one of them",
                )
            if entry.claim == GROUPS:
                yield Problem(
                    f"attributes[{index}].claim",
                    entry.claim,
                    "is what fetch_groups takes",
                    "set fetch_groups = true instead",
                )
            seen.add(entry.claim)

    @cross_check
    def _mappings_from_what_is_declared(self) -> Iterable[Problem]:
        declared = {*STANDARD, *(entry.claim for entry in self.attributes)}
        if self.fetch_groups:
            declared.add(GROUPS)
        for index, entry in enumerate(self.mappings):
            if entry.source is not None and entry.source not in declared:
                yield Problem(
                    f"mappings[{index}].source",
                    entry.source,
                    "is no attribute of this provider",
                    "set fetch_groups = true"
                    if entry.source == GROUPS
                    else "declare it in [[provider.attributes]] as its claim, byte for byte",
                )

    @cross_check
    def _hook_settings_have_a_hook(self) -> Iterable[Problem]:
        if self.hook is None and not self.hook_required:
            yield Problem("hook_required", False, "is about a hook, and there is none", "remove it")

    def type_of(self, source: str) -> AttributeType:
        """The type of a declared attribute."""
        if source in STANDARD:
            return STANDARD[source].type
        if source == GROUPS:
            return AttributeType.STRING_ARRAY
        return AttributeType(next(entry.type for entry in self.attributes if entry.claim == source))


def schema_of(declared: Iterable[ContextAttributeSettings], *, groups: bool) -> dict[str, AttributeType]:
    """Every context attribute and its type.

    Args:
        declared: those of `[[context]]`.
        groups: whether some provider fetches groups.
    """
    schema = {name: standard.type for name, standard in STANDARD.items()}
    if groups:
        schema[GROUPS] = AttributeType.STRING_ARRAY
    return schema | {entry.name: AttributeType(entry.type) for entry in declared}


def context_problems(
    declared: Sequence[ContextAttributeSettings],
    providers: Sequence[tuple[str, ClaimSettings]],
    wanted: Iterable[tuple[str, str]],
) -> Iterable[Problem]:
    """What is wrong between attributes, mappings and whoever wants to have them.

    Args:
        declared: those of `[[context]]`.
        providers: each with the key under which it stands.
        wanted: context attributes that something is to be made of, each behind the key that wants it.
    """
    yield from _declared_badly(declared)
    schema = schema_of(declared, groups=any(provider.fetch_groups for _, provider in providers))
    for key, provider in providers:
        for index, entry in enumerate(provider.mappings):
            yield from _mapped_badly(f"{key}.mappings[{index}]", entry, provider, schema)
    for key, name in wanted:
        if name not in schema:
            yield _undeclared(key, name)


def _declared_badly(declared: Sequence[ContextAttributeSettings]) -> Iterable[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(declared):
        key = f"context[{index}].name"
        if not _NAME.fullmatch(entry.name):
            yield Problem(key, entry.name, "is no name", "start with a letter, then letters, digits, _ and -")
        elif entry.name == GROUPS:
            yield Problem(key, entry.name, "is there with fetch_groups", "set provider.fetch_groups = true")
        elif entry.name in STANDARD or entry.name in FACTS:
            yield Problem(key, entry.name, "is there by itself", "remove it, or choose another name")
        elif entry.name in seen:
            yield Problem(key, entry.name, "is declared twice", "keep one of them")
        seen.add(entry.name)


def _mapped_badly(
    key: str, entry: MappingSettings, provider: ClaimSettings, schema: Mapping[str, AttributeType]
) -> Iterable[Problem]:
    if entry.target in FACTS:
        yield Problem(
            f"{key}.target",
            entry.target,
            "says who signed in and how",
            "choose another target; see amr, acr_to_amr",
        )
        return
    if entry.target not in schema or (entry.target == GROUPS and not provider.fetch_groups):
        yield _undeclared(f"{key}.target", entry.target)
        return
    kind = schema[entry.target]
    if entry.static is not None:
        if converted(kind, entry.static, weak=True) is MISMATCH:
            yield Problem(f"{key}.static", entry.static, f"is no {kind}", f"write one, or map to a {kind}")
        return
    try:
        source = provider.type_of(entry.source or "")
    except StopIteration:
        return  # told where the mapping's source is judged
    if kind not in (source, AttributeType.ANY) and not entry.allow_weak_decoding:
        yield Problem(
            f"{key}.target",
            entry.target,
            f"is a {kind}, and its source a {source}",
            "declare the same type, or set allow_weak_decoding = true",
        )


def _undeclared(key: str, name: str) -> Problem:
    if name == GROUPS:
        return Problem(key, name, "is there only with fetch_groups", "set provider.fetch_groups = true")
    return Problem(key, name, "is no context attribute", "declare it in [[context]], and map to it")
