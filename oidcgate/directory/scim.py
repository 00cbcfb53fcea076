"""Users of a SCIM 2.0 server, asked for by `userName`.

Spec: RFC 7644 3.4.2 (queries and filters); RFC 7643 4.1.1 (userName, active, displayName).
"""

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from oidcgate.directory.asked import sound_users
from oidcgate.directory.port import DirectoryUnavailable, KnownUser
from oidcgate.net.fetch import Fetcher, FetchError, FetchFailure
from oidcgate.settings import Problem, Secret

__all__ = ["ScimUsers"]

#: Nothing more is asked for: what the gate does not need need not travel.
_ATTRIBUTES: Final = ("userName", "active", "displayName")
#: More than the two that make a name ambiguous, so that a server that finds too many is told from one that
#: finds two.
_COUNT: Final = 3
#: A name that nobody has, to see whether the server answers as it should.
_NOBODY: Final = "oidcgate-check"

_AWAY: Final = frozenset({FetchFailure.TIMEOUT, FetchFailure.CONNECTION})
_BUSY: Final = 429
_ADVICE: Final = {
    400: "it does not understand the filter",
    401: "the bearer token is not accepted; give users.scim.bearer_token one that may read users",
    403: "the bearer token may not read users; give users.scim.bearer_token one that may",
    404: "there is nothing; users.scim.base_url is what stands before /Users",
}


class ScimUsers:
    """The users at `base_url`, the part of the address before `/Users`."""

    def __init__(self, base_url: str, bearer_token: Secret, fetcher: Fetcher) -> None:
        self._users_url = f"{base_url.rstrip('/')}/Users"
        self._bearer_token = bearer_token
        self._fetcher = fetcher

    def users_like(self, name: str) -> Sequence[KnownUser]:
        return sound_users(self._resources(name), self._users_url)

    def problems(self) -> list[Problem]:
        self._resources(_NOBODY)
        return []

    def _resources(self, name: str) -> list[dict[str, Any]]:
        try:
            answer = self._fetcher.get_json(
                self._url(name),
                {
                    "Accept": "application/scim+json, application/json",
                    "Authorization": f"Bearer {self._bearer_token.reveal()}",
                },
            )
        except FetchError as error:
            raise _unavailable(error) from None
        return self._found(answer.document)

    def _url(self, name: str) -> str:
        # A compValue is a JSON string, so what JSON escapes is all that could end it (RFC 7644 3.4.2.2).
        query = {
            "filter": f"userName eq {json.dumps(name, ensure_ascii=False)}",
            "attributes": ",".join(_ATTRIBUTES),
            "count": _COUNT,
        }
        return f"{self._users_url}?{urlencode(query, quote_via=quote)}"

    def _found(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """The resources of a ListResponse that is complete."""
        resources, total = document.get("Resources", []), document.get("totalResults")
        if not isinstance(resources, list) or not isinstance(total, int) or isinstance(total, bool):
            raise self._of_no_use("the answer is no ListResponse")
        if total > len(resources):
            # Who is meant may be among those that were left out, or have a namesake there.
            raise self._of_no_use(f"{total} users were found for one userName: the filter is not obeyed")
        return [
            {name: resource[name] for name in _ATTRIBUTES if name in resource}
            if isinstance(resource, dict)
            else resource
            for resource in resources
        ]

    def _of_no_use(self, why: str) -> DirectoryUnavailable:
        return DirectoryUnavailable(f"{self._users_url}: {why}", answered=True)


def _unavailable(error: FetchError) -> DirectoryUnavailable:
    away = error.reason in _AWAY or (
        error.status is not None and (error.status >= 500 or error.status == _BUSY)
    )
    advice = _ADVICE.get(error.status or 0) if error.reason is FetchFailure.STATUS else None
    message = f"{error}; {advice}" if advice else str(error)
    return DirectoryUnavailable(message, answered=not away)
