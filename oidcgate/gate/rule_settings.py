"""The settings of one rule: an entry of `[[rules]]`.

What is set beside them is in `oidcgate.gate.config`; the syntax of a rule and what it means are
`oidcgate.gate.policy`.
"""

import dataclasses
from collections.abc import Iterable
from typing import Final

from oidcgate.gate.host_settings import hosts_problem
from oidcgate.gate.policy import Access, rule_problems
from oidcgate.settings import Problem, cross_check, setting

__all__ = ["PROMPTS", "RuleSettings"]

#: What may be asked of the IdP's sign-in page. None of them can skip it.
PROMPTS: Final = ("login", "select_account", "consent")


@dataclasses.dataclass(frozen=True)
class RuleSettings:
    """One of `[[rules]]`; the first that matches decides."""

    path: str = setting(help="/public/** also matches /public; * is one whole segment; case-sensitive.")
    methods: tuple[str, ...] = setting(default=(), help="Only these methods; empty: all. GET includes HEAD.")
    hosts: tuple[str, ...] = setting(
        default=(),
        check=hosts_problem,
        help="Only these, as in public_urls, without the scheme, with its port if it has one; unset: all.",
    )
    allow: str = setting(choices=tuple(map(str, Access)), help="Who may pass.")
    provider: str = setting(
        default="",
        help="The name of the one identity provider whose sign-ins count here; empty: any of them.",
    )
    prompt: tuple[str, ...] = setting(
        default=(),
        choices=PROMPTS,
        help="What the IdP is to do at a sign-in that begins here, such as asking for the password again.",
    )
    max_age_seconds: int | None = setting(
        default=None, minimum=30, help="A sign-in older than this is asked for again."
    )
    acr_values: tuple[str, ...] = setting(
        default=(), help="Authentication contexts of which the sign-in must have one."
    )

    def holds_at(self, host: str) -> bool:
        """Whether the rule is one of this host, which is written as browsers do."""
        return not self.hosts or host in self.hosts

    @cross_check
    def _fit_for_the_policy(self) -> Iterable[Problem]:
        for problem in rule_problems("", self.path, self.allow, self.methods):
            yield problem._replace(key=problem.key.lstrip("."))

    @cross_check
    def _sign_in_is_asked_for(self) -> Iterable[Problem]:
        asks = self.max_age_seconds is not None or self.acr_values or self.provider or self.prompt
        if self.allow == Access.ANYONE and asks:
            yield Problem(
                "allow", self.allow, "asks for no sign-in, so nothing can be asked of one", "use 'known'"
            )
