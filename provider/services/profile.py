"""What people write of themselves: the values of the properties that are writable.

Each is an attribute that the provider itself keeps (`provider.store.user_attributes`), as JSON, for people of
the file, of the database and of a store of one's own alike. What a value has to be is
`provider.property_settings`; who reads them for everybody else is `people`.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from provider.property_settings import PropertySettings
from provider.realm import Realm
from provider.store.user_attributes import (
    find_attribute,
    find_attributes,
    put_attribute,
    remove_attribute,
)

#: How long a text may be where its property sets no limit, in bytes.
LONGEST_BYTES: Final = 1000
#: How many values a list may have.
MOST_VALUES: Final = 50
_CHOICES: Final = {"true": True, "false": False}
_LONGEST_NUMBER: Final = 15


class NotTaken(ValueError):
    """What was typed is no value of the property; the message is the name of the text that says why."""


def editable(realm: Realm) -> tuple[PropertySettings, ...]:
    """What people write on their profile: one entry for each attribute, and none that no field can hold."""
    fields: dict[str, PropertySettings] = {}
    for entry in realm.settings.own_properties:
        if kind_of(entry) is not None:
            fields.setdefault(entry.field, entry)
    return tuple(fields.values())


def kind_of(declared: PropertySettings) -> str | None:
    """The kind of form field that holds a value; None for none."""
    if declared.multi_valued:
        return "lines" if declared.type in ("string", "integer") else None
    return {"string": "text", "integer": "number", "boolean": "choice"}.get(declared.type)


def longest(declared: PropertySettings) -> int:
    """How long a text may be, in bytes."""
    return declared.max_length or LONGEST_BYTES


def written(conn: Connection, realm: Realm, user_id: str) -> dict[str, Any]:
    """What a person has written, by attribute. Whether each is still what its property says is not judged."""
    names = {entry.field for entry in realm.settings.own_properties}
    if not names:
        return {}
    found = find_attributes(conn, realm.id, user_id, sorted(names))
    return {name: json.loads(value) for name, value in found.items()}


def write(
    conn: Connection, realm: Realm, user_id: str, values: Mapping[PropertySettings, Any]
) -> tuple[str, ...]:
    """Keep these values, None for none; returns the names of the properties that are not as before."""
    changed = []
    for declared, value in values.items():
        name, text = declared.field, None if value is None else json.dumps(value)
        if text == find_attribute(conn, realm.id, user_id, name, to_write=True):
            continue
        if text is None:
            remove_attribute(conn, realm.id, user_id, name)
        else:
            put_attribute(conn, realm.id, user_id, name, text)
        changed.append(declared.name)
    return tuple(changed)


def text_of(declared: PropertySettings, value: object) -> str:
    """A value as its form field shows it; "" for one that the property does not allow."""
    if value is None or declared.value_problem(value) is not None:
        return ""
    if isinstance(value, list | tuple):
        return "\n".join(str(entry) for entry in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_of(declared: PropertySettings, text: str) -> Any:
    """What was typed, as a value of the property; None for nothing.

    Raises:
        NotTaken: it is none.
    """
    if declared.multi_valued:
        lines = [line for line in (line.strip() for line in text.splitlines()) if line]
        if len(lines) > MOST_VALUES:
            raise NotTaken("many")
        value: Any = [_entry(declared, line) for line in lines] or None
    else:
        value = None if not text.strip() else _entry(declared, text.strip())
    if value is not None and declared.value_problem(value) is not None:
        # The type is right by now, so it is the length.
        raise NotTaken("length")
    return value


def _entry(declared: PropertySettings, text: str) -> Any:
    if declared.type == "integer":
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= _LONGEST_NUMBER):
            raise NotTaken("number")
        return int(text)
    if declared.type == "boolean":
        if text not in _CHOICES:
            raise NotTaken("choice")
        return _CHOICES[text]
    if not text.isprintable():
        raise NotTaken("characters")
    if len(text.encode("utf-8", "surrogatepass")) > longest(declared):
        raise NotTaken("length")
    return text
