"""Which rule a request falls under. Pure; compiled once, asked on every request.

Here live the rules as configuration states them (ordered, first match wins, no match: known users only), the
syntax of their paths, and what a rule asks of the person. What follows for a given request and session is
decided in `oidcgate.gate.decision`; the path that is judged comes from `oidcgate.web.canonical_path`.

Path syntax: `/reports` is that path alone; `*` stands for one whole segment (`/users/*/photo`); a final `/**`
for everything below and the path itself (`/public/**` also matches `/public`). Case-sensitive, no other
wildcards.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from oidcgate.settings import Problem
from oidcgate.web.canonical_path import BadPath, canonical_path

__all__ = ["KNOWN_USERS_ONLY", "Access", "Policy", "PolicyError", "Rule", "rule_problems"]


class Access(StrEnum):
    """Whom a rule lets in."""

    ANYONE = "anyone"  # with or without a session
    SIGNED_IN = "signed-in"  # everybody the identity provider vouches for
    KNOWN = "known"  # those whom the directory knows and has not deactivated


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        path: a pattern in the syntax of this module.
        allow: whom it lets in.
        methods: the methods it is about; empty: all. GET includes HEAD, which asks for the same thing.
        max_age_seconds: how long ago the person may have proved who they are; None: any time.
        acr_values: authentication contexts of which the session must have one; empty: any.
        issuer: the one provider whose sign-ins count; empty: any of them.
        prompt: what the provider is to do at a sign-in that begins here.
    """

    path: str
    allow: Access
    methods: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    acr_values: tuple[str, ...] = ()
    issuer: str = ""
    prompt: tuple[str, ...] = ()


#: What holds where no rule matches.
KNOWN_USERS_ONLY: Final = Rule(path="/**", allow=Access.KNOWN)

_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}", re.ASCII)
_REMEMBERED_PATH_LENGTH = 256


class PolicyError(ValueError):
    """A rule cannot be understood. `problems` holds all that is wrong."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def rule_problems(key: str, path: str, allow: str, methods: Sequence[str] = ()) -> list[Problem]:
    """Everything that is wrong with one rule as it stands in a configuration.

    Args:
        key: where it stands (`rules[0]`).
        path: its pattern.
        allow: its word for whom it lets in.
        methods: its methods.
    """
    problems = []
    fault = _pattern_fault(path)
    if fault is not None:
        problems.append(Problem(f"{key}.path", path, fault[0], fault[1]))
    if allow not in frozenset(Access):
        words = ", ".join(repr(str(word)) for word in Access)
        problems.append(
            Problem(f"{key}.allow", allow, f"is not one of {words}", "use 'known' unless others may pass")
        )
    for method in methods:
        if not _METHOD.fullmatch(method):
            problems.append(
                Problem(
                    f"{key}.methods", method, "is not a method in upper case", "write it as in 'GET', 'POST'"
                )
            )
    return problems


def _pattern_fault(pattern: str) -> tuple[str, str] | None:
    if not pattern.startswith("/"):
        return "does not start with '/'", "write the path from the root, as in '/public/**'"
    plain = pattern.removesuffix("/**")
    segments = plain.split("/")
    if any("*" in segment and segment != "*" for segment in segments):
        return (
            "has a '*' that is not a whole segment, or a '**' that is not the last one",
            "use '*' for one whole segment and '/**' at the end for everything below",
        )
    try:
        below = "/x" if plain != pattern else ""
        canonical_path((plain + below).encode().decode("latin-1"))
    except BadPath as bad:
        return (
            f"can never match ({bad.fault}): requests with such a path are refused",
            "write the decoded path, without '.', '..', '//' and without percent escapes or a query",
        )
    if "?" in plain or "#" in plain or ";" in plain:
        return "holds '?', '#' or ';', which are not part of what is judged", "write the path alone"
    return None


def _compiled(pattern: str) -> re.Pattern[str]:
    below = pattern.endswith("/**")
    plain = pattern[:-3] if below else pattern
    body = "/".join("[^/]+" if segment == "*" else re.escape(segment) for segment in plain.split("/"))
    return re.compile(body + (r"(?:/.*)?" if below else ""), re.DOTALL)


class Policy:
    """The rules of one gate, ready to be asked.

    `rule_for` answers from a bounded memory of (method, path): rules depend on nothing else.

    Attributes:
        rules: as given, in order.
        origins: our own, as a browser writes them.
        admits_unknown: whether some rule lets in people whom the directory does not know, so that a session
            is worth making for them.
    """

    def __init__(
        self, rules: Iterable[Rule] = (), *, origins: Iterable[str] = (), remembered: int = 4096
    ) -> None:
        """Compile the rules.

        Raises:
            PolicyError: a rule has a pattern or method that cannot be understood.
        """
        self.rules = tuple(rules)
        self.origins = frozenset(origins)
        problems = [
            problem
            for position, rule in enumerate(self.rules)
            for problem in rule_problems(f"rules[{position}]", rule.path, rule.allow, rule.methods)
        ]
        if problems:
            raise PolicyError(problems)
        self.admits_unknown = any(rule.allow is Access.SIGNED_IN for rule in self.rules)
        self._compiled = tuple((_methods(rule), _compiled(rule.path), rule) for rule in self.rules)
        self._remembered = lru_cache(maxsize=remembered)(self._find)

    def rule_for(self, method: str, path: str) -> Rule | None:
        """The rule that holds for a request.

        Args:
            method: upper case.
            path: canonical.

        Returns:
            None when the path has `;` parameters and falls under another rule with than without them: some
            apps cut them off and some do not, so nobody can say which rule is meant. Refuse it.
        """
        if len(path) <= _REMEMBERED_PATH_LENGTH:
            return self._remembered(method, path)
        return self._find(method, path)

    def _find(self, method: str, path: str) -> Rule | None:
        rule = self._first_match(method, path)
        if ";" in path:
            bare = "/".join(segment.partition(";")[0] for segment in path.split("/"))
            if self._first_match(method, bare) is not rule:
                return None
        return rule

    def _first_match(self, method: str, path: str) -> Rule:
        for methods, pattern, rule in self._compiled:
            if (not methods or method in methods) and pattern.fullmatch(path):
                return rule
        return KNOWN_USERS_ONLY


def _methods(rule: Rule) -> frozenset[str]:
    # Were HEAD left out, a stricter rule for GET could be asked around: HEAD would fall to the next one.
    return frozenset(rule.methods) | ({"HEAD"} if "GET" in rule.methods else set())
