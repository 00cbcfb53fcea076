"""Pages about a realm for whoever connects applications to it, which discovery names."""

from dataclasses import dataclass

from oidcgate.protocol import urls
from oidcgate.settings import setting


def _page(url: str) -> str | None:
    problem = url and urls.link_problem(url)
    return f"{problem}; give the https URL of a page" if problem else None


@dataclass(frozen=True)
class InformationSettings:
    """Each is left out where it is empty. Spec: OIDC Discovery 3; RFC 8414 2."""

    policy_uri: str = setting(
        default="", check=_page, help="How applications may use what they learn of people (`op_policy_uri`)."
    )
    tos_uri: str = setting(default="", check=_page, help="Terms of use for applications (`op_tos_uri`).")
    documentation: str = setting(
        default="", check=_page, help="How applications are connected (`service_documentation`)."
    )
