"""`[[properties]]`: the fields of the data store that the provider knows of each person, and their shape.

A field (`attribute`) is of a person of the file, of the database or of a store of one's own; a property is
the name by which the rest of the configuration calls it. Entries add to the default ones or take their place.
Here live names, defaults and what a value has to be; who reads the values of people is
`provider.services.people`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from oidcgate.settings import Problem, cross_check, setting

PROPERTY_TYPES: Final = ("string", "integer", "boolean", "object")

#: The name to sign in with, which every person has.
USER_NAME: Final = "user_name"
#: The ids of the organizations that a person belongs to.
ORGANIZATIONS: Final = "organizations"
#: The names of these, which no data store holds: a claim may be mapped to them as to a property.
ORGANIZATION_NAMES: Final = "organization_names"
#: What decides which applications and organizations are open to a person.
_BELIEVED: Final = frozenset({"groups", ORGANIZATIONS})
#: The attribute that the provider writes consents into, unless the realm names another.
CONSENTS: Final = "consents"

#: What a property is called, which says nothing of its values.
_TITLES: Final = ("name", "attribute", "display_name")

_KINDS: Final[Mapping[str, type]] = {"string": str, "integer": int, "boolean": bool, "object": Mapping}


@dataclass(frozen=True)
class PropertySettings:
    """One property: a new one, or a default one said otherwise."""

    name: str = setting(help="What claims call it.")
    display_name: str = setting(
        default="",
        help="What people read on their profile; default: a text of ours for a standard one, else the name.",
    )
    attribute: str = setting(default="", help="The field of the data store; default: the name.")
    type: str = setting(default="string", choices=PROPERTY_TYPES, help="What a value is.")
    writable: bool = setting(
        default=False,
        help="true: the provider itself keeps the values, which people write on their profile, and nobody "
        "else gives any.",
    )
    multi_valued: bool = setting(default=False, help="true: a value is a list.")
    fixed_length: bool = setting(default=False, help="true: a value is exactly `max_length` long.")
    max_length: int = setting(
        default=0, minimum=0, help="How long a string may be, in bytes of UTF-8; 0: as long as it likes."
    )

    @property
    def field(self) -> str:
        """The field of the data store."""
        return self.attribute or self.name

    @cross_check
    def _named(self) -> Iterable[Problem]:
        for key in _TITLES:
            value = getattr(self, key)
            if len(value) > 100 or not value.isprintable() or value != value.strip():
                yield Problem(
                    key, value, "is longer than 100 characters, or has space around it or control characters",
                    "choose another",
                )  # fmt: skip

    @cross_check
    def _lengths_are_of_strings(self) -> Iterable[Problem]:
        if self.type != "string":
            for key in ("fixed_length", "max_length"):
                if getattr(self, key):
                    yield Problem(
                        key, getattr(self, key), f"is said of a value of type {self.type}", "remove it"
                    )
        elif self.fixed_length and not self.max_length:
            yield Problem("max_length", None, "is missing beside fixed_length", "say how long each value is")

    @cross_check
    def _name_is_read(self) -> Iterable[Problem]:
        if self.field == USER_NAME and (self.type != "string" or self.multi_valued or self.writable):
            yield Problem(
                "attribute", USER_NAME, "is the name to sign in with: one string that nobody writes here",
                "leave out type, multi_valued and writable, or name another attribute",
            )  # fmt: skip

    def value_problem(self, value: object) -> str | None:
        """What keeps `value` from being one of this property; None when nothing does."""
        if self.multi_valued:
            if not isinstance(value, list | tuple):
                return "is no list"
            return next((problem for entry in value if (problem := self._entry_problem(entry))), None)
        return self._entry_problem(value)

    def _entry_problem(self, value: object) -> str | None:
        # A boolean is an integer to Python, and to nobody else.
        if not isinstance(value, _KINDS[self.type]) or (isinstance(value, bool) and self.type != "boolean"):
            return f"is no {self.type}"
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            return "holds what JSON cannot"
        if isinstance(value, str) and self.max_length:
            length = len(value.encode())
            if length > self.max_length:
                return f"is longer than {self.max_length} bytes"
            if self.fixed_length and length < self.max_length:
                return f"is shorter than {self.max_length} bytes"
        return None


#: The attributes that have a key of their own for each person: the standard claims, and what is ours.
#: Spec: OIDC Core 5.1.
_STANDARD: Final = (
    *(
        PropertySettings(name=name)
        for name in (
            "name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture", "website",
            "gender", "birthdate", "zoneinfo", "locale",
        )
    ),
    PropertySettings(name="updated_at", type="integer"),
    PropertySettings(name="email"),
    PropertySettings(name="email_verified", type="boolean"),
    PropertySettings(name="phone_number"),
    PropertySettings(name="phone_number_verified", type="boolean"),
    PropertySettings(name="address", type="object"),
    PropertySettings(name="groups", multi_valued=True),
    PropertySettings(name=ORGANIZATIONS, multi_valued=True),
)  # fmt: skip
NAMED_ATTRIBUTES: Final = tuple(entry.name for entry in _STANDARD)
DEFAULT_PROPERTIES: Final = (
    PropertySettings(name=USER_NAME),
    *_STANDARD,
    PropertySettings(name=CONSENTS, writable=True),
)


def joined(written: Iterable[PropertySettings]) -> dict[str, PropertySettings]:
    """Every property by its name: the default ones, and what is written in addition or in their place."""
    return {entry.name: entry for entry in (*DEFAULT_PROPERTIES, *written)}


def by_attribute(properties: Mapping[str, PropertySettings]) -> dict[str, PropertySettings]:
    """For each field of the data store a property that says its shape."""
    return {entry.field: entry for entry in properties.values()}


def shape_problems(written: tuple[PropertySettings, ...]) -> Iterator[Problem]:
    """Where two entries have one name, or two properties say different things of one attribute."""
    names = [entry.name for entry in written]
    for position, entry in enumerate(written):
        if entry.name in names[:position]:
            yield Problem(
                f"properties[{position}].name", entry.name, "is used by another entry", "keep one of them"
            )
        for other in joined(written).values():
            if other.field == entry.field and _shape_of(other) != _shape_of(entry):
                yield Problem(
                    f"properties[{position}].attribute", entry.field,
                    f"is said to be something else by the property {other.name}",
                    "say the same of both, or use one property",
                )  # fmt: skip


def _shape_of(entry: PropertySettings) -> tuple[object, ...]:
    names = (one.name for one in fields(PropertySettings))
    return tuple(getattr(entry, name) for name in names if name not in _TITLES)


def believed_problems(written: tuple[PropertySettings, ...]) -> Iterator[Problem]:
    """Where people would write themselves what the provider goes by."""
    for position, entry in enumerate(written):
        if entry.writable and entry.field in _BELIEVED:
            yield Problem(
                f"properties[{position}].writable", True,
                f"lets people write {entry.field} themselves, which says what they may use",
                "remove it: whoever keeps the people says it of them",
            )  # fmt: skip


def attribute_problems(
    properties: Mapping[str, PropertySettings], values: Mapping[str, Any]
) -> Iterator[Problem]:
    """What is wrong with the attributes that somebody gives a person; their values are not shown."""
    known = by_attribute(properties)
    given = sorted(name for name, entry in known.items() if not entry.writable and name != USER_NAME)
    for name, value in values.items():
        entry = known.get(name)
        if entry is None:
            yield Problem(
                name, None, "is no attribute of a person",
                f"declare it under [[properties]], or use one of {', '.join(given)}",
            )  # fmt: skip
        elif entry.writable or name == USER_NAME:
            yield Problem(
                name, None, "is not given as an attribute: the provider keeps it itself", "remove it"
            )
        elif problem := entry.value_problem(value):
            yield Problem(name, None, problem, "correct it, or what [[properties]] says of it")


def consent_attribute_problem(
    properties: Mapping[str, PropertySettings], attribute: str
) -> tuple[str, str] | None:
    """What keeps consents from being kept in an attribute, and what to do; None when they can be."""
    found = by_attribute(properties).get(attribute)
    if found is None:
        return (
            "is the attribute of no property",
            f'add [[properties]] with attribute = "{attribute}" and writable = true',
        )
    if not found.writable:
        return "cannot be written", f"set writable = true for the property {found.name}, or name another"
    if found.multi_valued:
        return "holds a list of values", "name an attribute that holds one"
    if found.fixed_length:
        return "is of a fixed length", "name an attribute of variable length"
    if found.type != "string":
        return f"holds no string, but a value of type {found.type}", "name an attribute that holds a string"
    return None
