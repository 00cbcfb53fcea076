"""What a client says of itself, for people to see or for others to read, and what is wrong with that.

Which page shows what is `provider.pages`. Nothing here is believed: names, images and links are the
application's own words, and nothing is ever fetched from there.
"""

from collections.abc import Iterator
from typing import Final

from oidcgate.protocol import urls
from oidcgate.settings import Problem, cross_check

#: Links that people may follow. A part of a page may be meant, so a fragment is allowed.
_LINKS: Final = ("client_uri", "policy_uri", "tos_uri")
_LONGEST_CONTACT: Final = 320


class AboutRules:
    """The rules; the annotated names are the settings that they are over."""

    client_uri: str
    logo_uri: str
    policy_uri: str
    tos_uri: str
    initiate_login_uri: str
    contacts: tuple[str, ...]
    default_acr_values: tuple[str, ...]

    def about_problems(self, allow_http_loopback: bool) -> Iterator[Problem]:
        """What is wrong with its URLs. Only the provider says whether http may be.

        Spec: OIDC Registration 2; OIDC Core 4 (`initiate_login_uri`: https, without exception).
        """
        for name in (*_LINKS, "logo_uri", "initiate_login_uri"):
            uri: str = getattr(self, name)
            judge = urls.link_problem if name in _LINKS else urls.endpoint_problem
            loopback = allow_http_loopback and name != "initiate_login_uri"
            problem = uri and judge(uri, insecure_allow_http_loopback=loopback)
            if problem:
                yield Problem(name, uri, problem, "give an https URL of the application")

    @cross_check
    def _plain_words(self) -> Iterator[Problem]:
        for name in ("contacts", "default_acr_values"):
            for index, text in enumerate(getattr(self, name)):
                if not text or not text.isprintable() or " " in text or len(text) > _LONGEST_CONTACT:
                    yield Problem(
                        f"{name}[{index}]", text, "is no single word that can be shown",
                        "give one address, or one value, in each entry",
                    )  # fmt: skip
