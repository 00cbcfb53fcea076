"""Where a client wants to be told that a session has ended, and what is wrong with that.

Wherever a client is written these settings are the same: `provider.client_settings`. Who is told when is
`provider.services.logout`.
"""

from collections.abc import Iterator

from oidcgate.protocol import urls
from oidcgate.settings import Problem


class LogoutRules:
    """The rules; the annotated names are the settings that they are over."""

    redirect_uris: tuple[str, ...]
    backchannel_logout_uri: str
    frontchannel_logout_uri: str

    def logout_uri_problems(self, allow_http_loopback: bool) -> Iterator[Problem]:
        """What is wrong with them. Only the provider says whether http may be.

        Spec: OIDC Back-Channel Logout 1.0 section 2.2; OIDC Front-Channel Logout 1.0 section 2.
        """
        for name in ("backchannel_logout_uri", "frontchannel_logout_uri"):
            uri = getattr(self, name)
            problem = uri and urls.endpoint_problem(uri, insecure_allow_http_loopback=allow_http_loopback)
            if problem:
                yield Problem(
                    name, uri, problem, "give the https URL of the application that ends its session"
                )
        # A page of the provider loads it as a frame: of nobody but the application itself.
        frame = self.frontchannel_logout_uri
        if frame and urls.origin(frame) not in map(urls.origin, self.redirect_uris):
            yield Problem(
                "frontchannel_logout_uri", frame, "is not on the scheme, host and port of a redirect URI",
                "move it there, or register a redirect URI of that origin",
            )  # fmt: skip
