"""The people of the directory: reading their file, finding them, writing them as SCIM.

Here is what any app with users of its own has. Nothing here knows how a person signs in.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import combining, normalize

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_SCHEMA = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

_FILTER = re.compile(r'\s*userName\s+eq\s+"((?:[^"\\]|\\["\\])*)"\s*', re.IGNORECASE)


class FilterError(ValueError):
    """A SCIM filter that this directory does not understand."""


@dataclass(frozen=True)
class Person:
    """One entry of the directory; `user_name` is its only key."""

    user_name: str
    display_name: str
    active: bool = True
    emails: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    title: str = ""
    department: str = ""
    phone: str = ""
    office: str = ""
    manager: str = ""

    def scim(self) -> dict[str, Any]:
        """Write the person as a SCIM user. Spec: RFC 7643 4.1, 4.3."""
        enterprise: dict[str, Any] = {"department": self.department}
        if self.manager:
            enterprise["manager"] = {"value": self.manager}
        return {
            "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
            "id": self.user_name,
            "userName": self.user_name,
            "displayName": self.display_name,
            "active": self.active,
            "title": self.title,
            "emails": [{"value": value, "primary": place == 0} for place, value in enumerate(self.emails)],
            "phoneNumbers": [{"value": self.phone, "type": "work"}] if self.phone else [],
            "addresses": [{"formatted": self.office, "type": "work"}] if self.office else [],
            "groups": [{"display": group} for group in self.groups],
            ENTERPRISE_SCHEMA: enterprise,
        }


@dataclass(frozen=True)
class People:
    """Everybody in the directory, in the file's order."""

    everybody: tuple[Person, ...]

    def find(self, user_name: str) -> Person | None:
        """Give the person of that name; `userName` has no case. Spec: RFC 7643 4.1.1."""
        return next((person for person in self.everybody if _same(person.user_name, user_name)), None)

    def search(self, text: str) -> list[Person]:
        """Give the people in whose names, title or department every word of `text` occurs, by name."""
        words = _plain(text).split()
        found = [person for person in self.everybody if all(word in _words_of(person) for word in words)]
        return sorted(found, key=lambda person: _plain(person.display_name))

    def colleagues(self, person: Person) -> list[Person]:
        """Give the active others of the person's department, by name."""
        return [
            other
            for other in self.search("")
            if other.active and other.department == person.department and other != person
        ]

    def filtered(self, expression: str) -> list[Person]:
        """Give the people that a SCIM filter selects; `userName eq "…"` is the one there is.

        Raises:
            FilterError: any other filter.

        Spec: RFC 7644 3.4.2.2.
        """
        match = _FILTER.fullmatch(expression)
        if match is None:
            raise FilterError('the one filter here is: userName eq "name"')
        found = self.find(re.sub(r'\\(["\\])', r"\1", match[1]))
        return [found] if found else []


def read_people(path: Path) -> People:
    """Read the file; done anew for each request: a dozen people cost nothing, and edits show at once."""
    with path.open("rb") as file:
        return People(tuple(_people(tomllib.load(file)["users"])))


def scim_list(found: list[Person], start_index: int, count: int) -> dict[str, Any]:
    """Write one page of a list. Spec: RFC 7644 3.4.2.4 (both numbers are mended, not refused)."""
    first = max(start_index, 1)
    shown = found[first - 1 : first - 1 + max(count, 0)]
    return {
        "schemas": [LIST_SCHEMA],
        "totalResults": len(found),
        "startIndex": first,
        "itemsPerPage": len(shown),
        "Resources": [person.scim() for person in shown],
    }


def _people(entries: Iterable[Mapping[str, Any]]) -> Iterator[Person]:
    for entry in entries:
        yield Person(
            user_name=entry["userName"],
            display_name=entry["displayName"],
            active=entry["active"],
            emails=tuple(entry["emails"]),
            groups=tuple(entry["groups"]),
            title=entry["title"],
            department=entry["department"],
            phone=entry["phone"],
            office=entry["office"],
            manager=entry["manager"],
        )


def _same(one: str, other: str) -> bool:
    """Case alone is overlooked: who looks alike is not the same."""
    return one.lower() == other.lower()


def _plain(text: str) -> str:
    """Text as people type it into a search field: no case, no accents."""
    decomposed = normalize("NFKD", text.casefold().replace("ı", "i"))
    return "".join(character for character in decomposed if not combining(character))


def _words_of(person: Person) -> str:
    return _plain(f"{person.user_name} {person.display_name} {person.title} {person.department}")
