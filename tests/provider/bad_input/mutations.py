"""How one parameter of a request is spoiled: pure, on the wire, before anybody decodes it.

A mutation belongs to a kind, and the kind is what a reader makes of it; which one it is says what is due
(`oracle`), so that no answer has to be written down by hand.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from urllib.parse import quote_plus

#: A field as it travels: name and value, both encoded.
Field = tuple[str, str]

#: In every value that is made up; where the true one is a secret, this must show nowhere either.
CANARY: Final = "canary7f3a"
MARKUP: Final = f"\"'></title><script>alert('{CANARY}')</script><img src=x onerror=a()>{{{{7*7}}}}"
LONG: Final = f"{CANARY}{'x' * 4990}"
VERY_LONG: Final = f"{CANARY}{'x' * 70_000}"


class Kind(Enum):
    """What a reader makes of a spoiled parameter."""

    ABSENT = auto()
    """It is not there, or has no value, which RFC 6749 3.1 says is the same."""
    REPEATED = auto()
    """It is there more than once."""
    UNREADABLE = auto()
    """The whole query or form cannot be read: not UTF-8, or larger than any of ours."""
    CONTROL = auto()
    """Its value holds control characters."""
    LONG = auto()
    """Its value is longer than anything but a token, and no longer than a token may be."""
    OTHER = auto()
    """A value like any other, and not the one that is right."""
    STRANGER = auto()
    """A value that is right for somebody else: another client, browser or realm."""


@dataclass(frozen=True)
class Mutation:
    """One way to spoil a parameter.

    Attributes:
        make: From its encoded name and its true value to what is sent in its place.
    """

    id: str
    kind: Kind
    make: Callable[[str, str], Sequence[Field]]


def _sent(text: str) -> Callable[[str, str], Sequence[Field]]:
    return lambda name, good: [(name, quote_plus(text))]


def _raw(text: str) -> Callable[[str, str], Sequence[Field]]:
    """Behind the true value, as bytes that no encoder has made."""
    return lambda name, good: [(name, quote_plus(good) + text)]


def _swapped(name: str, good: str) -> Sequence[Field]:
    other = good.swapcase()
    return [(name, quote_plus(other if other != good else f"{good}A"))]


MUTATIONS: Final = (
    Mutation("missing", Kind.ABSENT, lambda name, good: []),
    Mutation("empty", Kind.ABSENT, lambda name, good: [(name, "")]),
    Mutation("array-name", Kind.ABSENT, lambda name, good: [(f"{name}[]", quote_plus(good))]),
    Mutation("indexed-name", Kind.ABSENT, lambda name, good: [(f"{name}%5B0%5D", quote_plus(good))]),
    Mutation("other-case-name", Kind.ABSENT, lambda name, good: [(name.upper(), quote_plus(good))]),
    Mutation("name-with-nul", Kind.ABSENT, lambda name, good: [(f"{name}%00", quote_plus(good))]),
    Mutation("repeated-same", Kind.REPEATED, lambda name, good: [(name, quote_plus(good))] * 2),
    Mutation("repeated-other", Kind.REPEATED, lambda name, good: [(name, quote_plus(good)), (name, CANARY)]),
    Mutation("repeated-first", Kind.REPEATED, lambda name, good: [(name, CANARY), (name, quote_plus(good))]),
    Mutation("repeated-empty", Kind.REPEATED, lambda name, good: [(name, quote_plus(good)), (name, "")]),
    Mutation("not-utf-8", Kind.UNREADABLE, _raw("%ff")),
    Mutation("overlong-escape", Kind.UNREADABLE, _raw("%c0%af")),
    Mutation("lone-surrogate", Kind.UNREADABLE, _raw("%ed%a0%80")),
    Mutation("half-a-character", Kind.UNREADABLE, _raw("%e2%82")),
    Mutation("bytes-unescaped", Kind.UNREADABLE, _raw("\u00e9\u00ff")),
    Mutation("70000-characters", Kind.UNREADABLE, _sent(VERY_LONG)),
    Mutation("nul", Kind.CONTROL, _raw("%00")),
    Mutation("cr-lf", Kind.CONTROL, _raw("%0d%0aX-Injected:%20yes%0d%0a%0d%0a")),
    Mutation("delete", Kind.CONTROL, _raw("%7f")),
    Mutation("escape-sequence", Kind.CONTROL, _raw("%1b%5b2J")),
    Mutation("5000-characters", Kind.LONG, _sent(LONG)),
    Mutation("number", Kind.OTHER, _sent("42")),
    Mutation("negative", Kind.OTHER, _sent("-1")),
    Mutation("word", Kind.OTHER, _sent(CANARY)),
    Mutation("object", Kind.OTHER, _sent(f'{{"a":["{CANARY}"]}}')),
    Mutation("list", Kind.OTHER, _sent(f'["{CANARY}"]')),
    Mutation("broken-escape", Kind.OTHER, _raw("%zz")),
    Mutation("escaped-twice", Kind.OTHER, _raw("%2500")),
    Mutation("markup", Kind.OTHER, _sent(MARKUP)),
    Mutation("sql", Kind.OTHER, _sent(f"' OR '1'='1'; DROP TABLE users; -- {CANARY}")),
    Mutation("turned-around", Kind.OTHER, _raw(quote_plus("\u202e\u200b\U0001f600"))),
    Mutation("other-case", Kind.OTHER, _swapped),
    Mutation("trailing-space", Kind.OTHER, _raw("+")),
)


#: Those that a database may take amiss: PostgreSQL stores no NUL, and each column has its length.
FOR_DATABASES: Final = frozenset(
    {"name-with-nul", "nul", "cr-lf", "5000-characters", "markup", "sql", "turned-around", "lone-surrogate"}
)


def mutations(strangers: dict[str, str]) -> Iterator[Mutation]:
    """Every way, and a true value of each stranger, by who it is."""
    yield from MUTATIONS
    for who, value in strangers.items():
        yield Mutation(f"of-{who}", Kind.STRANGER, _sent(value))


def encoded(fields: Sequence[Field]) -> str:
    """The query or form that these make."""
    return "&".join(f"{name}={value}" for name, value in fields)


def spoilt(good: Sequence[tuple[str, str]], name: str, mutation: Mutation) -> str:
    """A request, as it travels, in which one parameter is spoiled; it is added where it was not there."""
    fields: list[Field] = []
    found = False
    for one, value in good:
        if one != name:
            fields.append((quote_plus(one), quote_plus(value)))
        else:
            fields += mutation.make(quote_plus(one), value)
            found = True
    return encoded(fields if found else [*fields, *mutation.make(quote_plus(name), "")])
