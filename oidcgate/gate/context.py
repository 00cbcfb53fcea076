"""From what an IdP says to what an app may be told: claims become context attributes. Pure.

Here live the merging of ID token and userinfo, the attributes that are read from them, the mappings to
context attributes, and the authentication methods. Each step leaves a trace (`Way`), which `oidcgate explain`
prints.
What is declared, and how, is `context_settings`; what is kept of it and who may change it is
`context_sign_in`, both next door.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from oidcgate.directory.port import fold
from oidcgate.gate.claim_path import MISSING, ClaimPath, parse_claim_path
from oidcgate.gate.context_settings import EMAIL, GROUPS, STANDARD, ClaimSettings, MappingSettings
from oidcgate.gate.context_types import MISMATCH, AttributeType, converted, kind_of

__all__ = [
    "Context",
    "ContextRules",
    "Origin",
    "Outcome",
    "Way",
    "email_is_unverified",
    "merged_claims",
    "methods_of",
]

# What a claim of an ID token may say without saying anything.
_NOTHING: Final = (None, "")
# An address, and what says whether the IdP has verified it: one statement of whoever makes it.
_VERIFIED: Final = ((EMAIL, "email_verified"), ("phone_number", "phone_number_verified"))


class Origin(StrEnum):
    """Who said it."""

    ID_TOKEN = "ID token"  # noqa: S105 (who said it)
    USERINFO = "userinfo"
    STATIC = "configuration"
    HOOK = "hook"
    NOBODY = "nobody"


class Outcome(StrEnum):
    """What became of an attribute."""

    TAKEN = "taken"
    ABSENT = "absent"
    WRONG_TYPE = "wrong type"
    UNVERIFIED = "unverified"  # an e-mail address that the IdP does not stand for
    UNUSED = "unused"  # another source of the same context attribute came first, or nothing is made of it


class Way(NamedTuple):
    """How one attribute became a context attribute, or did not.

    Attributes:
        origin: who said it.
        source: the attribute as it is declared; of what no claim says, the text of the configuration.
        display_name: what people call the attribute.
        target: the context attribute; "" when nothing is made of it.
        type: of the context attribute, or of the attribute where there is none.
        outcome: what became of it.
        found: what was there, where it was not of its type; never the value.
    """

    origin: Origin
    source: str
    display_name: str
    target: str
    type: str
    outcome: Outcome
    found: str = ""


class Context(NamedTuple):
    """Context attributes, and how they came about."""

    attributes: Mapping[str, Any]
    ways: tuple[Way, ...]

    def faults(self) -> tuple[str, ...]:
        """What was left out although it was there, one text each and without values."""
        faults = []
        for way in self.ways:
            if way.outcome is Outcome.WRONG_TYPE:
                faults.append(f"{way.source}: {way.found} where {way.type} is declared")
            elif way.outcome is Outcome.UNVERIFIED:
                faults.append(f"{way.source}: the IdP has not verified it")
        return tuple(faults)

    def changed(self, changes: Mapping[str, Any], schema: Mapping[str, AttributeType]) -> "Context":
        """The context after a hook; None takes an attribute away.

        Args:
            changes: of declared names and types, as `change_problem` says.
        """
        made = {
            name: None if value is None else converted(schema[name], value) for name, value in changes.items()
        }
        attributes = {**self.attributes, **made}
        ways = [way for way in self.ways if way.target not in changes]
        ways += [
            Way(Origin.HOOK, "", "", name, schema[name], Outcome.ABSENT if value is None else Outcome.TAKEN)
            for name, value in changes.items()
        ]
        present = {name: value for name, value in attributes.items() if value is not None}
        return Context(present, tuple(ways))


class _Source(NamedTuple):
    """An attribute, ready to be read."""

    path: ClaimPath
    written: str
    display_name: str
    type: AttributeType


class _Mapping(NamedTuple):
    source: _Source | None
    target: str
    type: AttributeType
    static: str = ""
    weak: bool = False


class _Said(NamedTuple):
    """What the IdP says of a person: all of it, what of it the ID token says, and what is not believed."""

    claims: Mapping[str, Any]
    id_token: Mapping[str, Any]
    email_withheld: bool


class ContextRules:
    """What becomes of the claims of one provider.

    Attributes:
        schema: every context attribute and its type.
    """

    def __init__(self, provider: ClaimSettings, schema: Mapping[str, AttributeType]) -> None:
        """Compile the settings.

        Args:
            provider: attributes and mappings; right, with this schema, as `context_problems` judges it.
            schema: see `context_settings.schema_of`.
        """
        self.schema = schema
        self._groups = provider.fetch_groups
        self._any_email = provider.insecure_unverified_email
        sources = {source.written: source for source in _sources(provider)}
        explicit = [_mapping(entry, sources, schema) for entry in provider.mappings]
        mapped = {mapping.target for mapping in explicit}
        # What has the same name on both sides needs no mapping; where there is one, it alone holds.
        by_name = [
            _Mapping(source, source.written, schema[source.written])
            for source in sources.values()
            if source.written in schema and source.written not in mapped
        ]
        self._mappings = (*by_name, *explicit)
        used = {mapping.source.written for mapping in self._mappings if mapping.source is not None}
        self._unused = tuple(source for source in sources.values() if source.written not in used)

    def apply(self, claims: Mapping[str, Any], id_token: Mapping[str, Any]) -> Context:
        """The context of one sign-in.

        Args:
            claims: what the IdP says, merged.
            id_token: what of it the ID token says.
        """
        attributes: dict[str, Any] = {}
        ways = []
        said = _Said(claims, id_token, not self._any_email and email_is_unverified(claims))
        for mapping in self._mappings:
            way, value = _follow(mapping, said)
            if way.outcome is Outcome.TAKEN and mapping.target in attributes:
                way = way._replace(outcome=Outcome.UNUSED)
            elif way.outcome is Outcome.TAKEN:
                attributes[mapping.target] = value
            ways.append(way)
        for source in self._unused:
            way, _ = _read(source, said)
            ways.append(way._replace(outcome=Outcome.UNUSED) if way.outcome is Outcome.TAKEN else way)
        if self._groups:
            # Somebody in no group is said so by silence, and an app that asks for groups gets a list.
            attributes.setdefault(GROUPS, [])
        return Context(attributes, tuple(ways))

    def change_problem(self, changes: Any) -> str | None:
        """What is wrong with what a hook returned; None when it may change the context so."""
        if not isinstance(changes, Mapping):
            return f"it returned {kind_of(changes)}, not a mapping of context attributes"
        for name, value in changes.items():
            if name not in self.schema or name == "sub":
                return f"it returned {ascii(name)[:80]}, which [[context]] does not declare"
            if name == GROUPS and not self._groups:
                return "it returned groups, and fetch_groups is off"
            if value is not None and converted(self.schema[name], value) is MISMATCH:
                return f"it returned {kind_of(value)} as {name}, which is declared as {self.schema[name]}"
        return None


def merged_claims(id_token: Mapping[str, Any], userinfo: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of both; on conflict the ID token's, which are signed.

    An empty one in the ID token says nothing and does not hide userinfo's. Whether an address is verified is
    said of that address alone: `_verified`.
    """
    said = {name: value for name, value in id_token.items() if value not in _NOTHING}
    merged = {**id_token, **userinfo, **said}
    for address, claim in _VERIFIED:
        if merged.get(address) in _NOTHING:
            continue
        giver, other = (id_token, userinfo) if address in said else (userinfo, id_token)
        verified = _verified(address, claim, giver, other)
        if verified in _NOTHING:
            merged.pop(claim, None)
        else:
            merged[claim] = verified
    return merged


def email_is_unverified(claims: Mapping[str, Any]) -> bool:
    """Whether the IdP does not stand for the e-mail address that it says: anybody may have typed it in.

    Without `email_verified` it says nothing about that, and the address is believed like any other claim. Of
    a value that is there only true counts, and "true" for IdPs that write booleans as text.

    Args:
        claims: what the IdP says, merged.

    Spec: OIDC Core 5.1.
    """
    return _says_no(claims.get("email_verified"))


def _verified(address: str, claim: str, giver: Mapping[str, Any], other: Mapping[str, Any]) -> Any:
    """What both sources say of whether the address that is taken is verified.

    A "no" of either counts, unless it names another address. A "yes" counts for the address beside it.
    Whoever says nothing of the address that is taken while the other one does of another does not stand for
    it.

    Args:
        giver: whose address is taken.
    """
    own, word, named = giver.get(claim), other.get(claim), other.get(address)
    if named in _NOTHING or word in _NOTHING:
        return word if _says_no(word) else own
    if fold(str(named)) != fold(str(giver[address])):
        return False if own in _NOTHING else own
    return word if own in _NOTHING or _says_no(word) else own


def _says_no(verified: Any) -> bool:
    return verified is not True and verified not in (*_NOTHING, "true")


def methods_of(
    fixed: tuple[str, ...], table: Mapping[str, str], acr: str | None, amr: tuple[str, ...]
) -> tuple[str, ...]:
    """The authentication methods of a sign-in, as the configuration has them said.

    Args:
        fixed: replaces whatever came, if it is not empty.
        table: the method for a value of `acr`; replaces what came for the values that it names.
        acr, amr: what the ID token says.
    """
    if fixed:
        return fixed
    method = table.get(acr or "")
    return amr if method is None else (method,)


def _sources(provider: ClaimSettings) -> Iterator[_Source]:
    for name, standard in STANDARD.items():
        yield _Source(ClaimPath((name,)), name, standard.display_name, standard.type)
    if provider.fetch_groups:
        yield _Source(ClaimPath((GROUPS,)), GROUPS, "Groups", AttributeType.STRING_ARRAY)
    for entry in provider.attributes:
        path = parse_claim_path(entry.claim)
        yield _Source(path, entry.claim, entry.display_name, AttributeType(entry.type))


def _mapping(
    entry: MappingSettings, sources: Mapping[str, _Source], schema: Mapping[str, AttributeType]
) -> _Mapping:
    source = None if entry.source is None else sources[entry.source]
    static, weak = entry.static or "", entry.allow_weak_decoding
    return _Mapping(source, entry.target, schema[entry.target], static, weak)


def _follow(mapping: _Mapping, said: _Said) -> tuple[Way, Any]:
    if mapping.source is None:
        way = Way(Origin.STATIC, mapping.static, "", mapping.target, mapping.type, Outcome.TAKEN)
        return way, converted(mapping.type, mapping.static, weak=True)
    way, value = _read(mapping.source, said)
    way = way._replace(target=mapping.target)
    if way.outcome is not Outcome.TAKEN:
        return way, value
    made = converted(mapping.type, value, weak=mapping.weak)
    if made is MISMATCH:
        return way._replace(outcome=Outcome.WRONG_TYPE, found=kind_of(value), type=mapping.type), made
    return way._replace(type=mapping.type), made


def _read(source: _Source, said: _Said) -> tuple[Way, Any]:
    found = source.path.read(said.claims)
    claim = source.path.claim
    origin = Origin.ID_TOKEN if said.id_token.get(claim) == said.claims.get(claim) else Origin.USERINFO
    if found is MISSING or found is None:
        return _way(source, Origin.NOBODY, Outcome.ABSENT), found
    if said.email_withheld and source.written == EMAIL:
        return _way(source, origin, Outcome.UNVERIFIED), found
    # Some IdPs say the only group of somebody as a text.
    alone = source.written == GROUPS and isinstance(found, str)
    value = converted(source.type, [found] if alone else found)
    if value is MISMATCH:
        return _way(source, origin, Outcome.WRONG_TYPE)._replace(found=kind_of(found)), value
    return _way(source, origin, Outcome.TAKEN), value


def _way(source: _Source, origin: Origin, outcome: Outcome) -> Way:
    return Way(origin, source.written, source.display_name, "", source.type, outcome)
