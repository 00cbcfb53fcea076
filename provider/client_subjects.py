"""How a client wants people to be named to it, and what is wrong with that.

Which sector a client belongs to follows from its settings alone (`provider.client_rules`); whether what its
`sector_identifier_uri` leads to lists its redirect URIs does not (`provider.services.sectors`).
"""

from collections.abc import Collection, Iterator
from typing import Final

from oidcgate.protocol import urls
from oidcgate.settings import Problem
from provider.client_rules import ClientRules

#: Where nobody signs in.
_WITHOUT_PEOPLE: Final = frozenset({"client_credentials", "introspection", "revocation"})
_FIX: Final = "give the https URL of a JSON array of all redirect_uris"


class SubjectRules(ClientRules):
    """The rules; the annotated names are the settings that they are over."""

    flows: tuple[str, ...]

    def sector_uri_problems(self, allow_http_loopback: bool) -> Iterator[Problem]:
        """What keeps `sector_identifier_uri` from being one. Only the provider says whether http may be.

        Spec: OIDC Registration 2, 5.
        """
        uri = self.sector_identifier_uri
        problem = uri and urls.endpoint_problem(uri, insecure_allow_http_loopback=allow_http_loopback)
        if problem:
            yield Problem("sector_identifier_uri", uri, problem, _FIX)

    def subject_problems(self, offered: Collection[str]) -> Iterator[Problem]:
        """What keeps people from being named as it wants, in a realm that offers these subject types.

        Spec: OIDC Core 8, 8.1.
        """
        if self.subject_type not in offered:
            yield Problem(
                "subject_type", self.subject_type, "is not offered by this realm",
                f"use {' or '.join(offered)}, or add it to subjects.types",
            )  # fmt: skip
        elif self.subject_type == "pairwise" and self.sector is None and not self._without_people:
            what = "is missing: redirect_uris name no host, or several"
            yield Problem("sector_identifier_uri", None, what, _FIX)

    @property
    def _without_people(self) -> bool:
        return _WITHOUT_PEOPLE.issuperset(self.flows)
