"""Whether a realm takes authorization requests as tokens (`request` and `request_uri`), and which.

Names and defaults only. What is said of one client is `provider.client_request_objects`; how such a token is
read is `provider.services.request_objects`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from oidcgate.jose.jwe import KEY_ALGORITHMS
from oidcgate.settings import Problem, cross_check, setting


@dataclass(frozen=True)
class RequestObjectSettings:
    """Whether applications may send what they ask for as a token that they have signed."""

    by_value: bool = setting(default=False, help="Take the parameter `request`: the token itself.")
    by_reference: bool = setting(
        default=False,
        help="Take the parameter `request_uri`: an address, one of the client's request_uris, from which the "
        "token is fetched.",
    )
    encryption_algorithms: tuple[str, ...] = setting(
        default=(),
        choices=KEY_ALGORITHMS,
        help="How the tokens may be encrypted to this realm; it makes and publishes a key for each.",
    )
    require_signed: bool = setting(
        default=False, help="Refuse what clients ask for in any other way, whatever their own settings."
    )
    insecure_allow_unsigned: bool = setting(
        default=False,
        help='Take tokens that nobody has signed, from clients with request_object_signing_alg = "none" or '
        "without one.",
    )

    @property
    def enabled(self) -> bool:
        """Whether there is any way to send one."""
        return self.by_value or self.by_reference

    @cross_check
    def _some_way_to_send_them(self) -> Iterable[Problem]:
        if self.enabled:
            return
        if self.require_signed:
            yield Problem(
                "require_signed", None, "is set, but request objects are taken in no way",
                "set by_value = true, or leave it out",
            )  # fmt: skip
        if self.encryption_algorithms:
            yield Problem(
                "encryption_algorithms", None, "are set, but request objects are taken in no way",
                "set by_value = true, or leave them out",
            )  # fmt: skip
