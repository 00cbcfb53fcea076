"""How the provider asks other servers: for the keys of its clients and for their request objects.

Names and defaults only. What keeps such a call from reaching inner servers is `oidcgate.net`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from oidcgate.net.addresses import network_problem
from oidcgate.settings import Problem, cross_check, setting


@dataclass(frozen=True)
class OutboundSettings:
    """Calls to servers whose addresses clients gave."""

    allow_networks: tuple[str, ...] = setting(
        default=(),
        help="Networks they may be in beside the public internet, such as 10.1.0.0/16. Clients that "
        "registered themselves may not.",
    )
    registered_allow_networks: tuple[str, ...] = setting(
        default=(),
        help="Networks that clients which registered themselves may be in beside the public internet.",
    )
    ca_file: Path | None = setting(
        default=None, help="A PEM bundle to check their certificates against, instead of the public ones."
    )
    timeout_seconds: float = setting(
        default=5.0, minimum=0.1, maximum=60, help="Total time for one call, however slowly it is answered."
    )

    @cross_check
    def _real_networks(self) -> Iterable[Problem]:
        for name in ("allow_networks", "registered_allow_networks"):
            for position, network in enumerate(getattr(self, name)):
                if problem := network_problem(network):
                    yield Problem(f"{name}[{position}]", network, *problem)

    @cross_check
    def _bundle_there(self) -> Iterable[Problem]:
        if self.ca_file is not None and not self.ca_file.is_file():
            yield Problem("ca_file", str(self.ca_file), "is not a file", "name a PEM bundle")
