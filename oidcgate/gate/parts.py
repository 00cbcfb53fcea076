"""A gate, taken apart: what fronts, commands and checks take from it.

Each part is here by itself, so that nobody has to know which other part is given it. How they are made of
settings is `oidcgate.gate.build`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from oidcgate.audit import Audit
from oidcgate.directory.port import UserDirectory
from oidcgate.gate.config import GateConfig
from oidcgate.gate.context_sign_in import Contexts
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.last_sign_ins import LastSignIns
from oidcgate.gate.pins import Pins
from oidcgate.gate.policy import Policy
from oidcgate.gate.refreshing import Refresher
from oidcgate.gate.refusals import Refusals
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.routes import Routes
from oidcgate.gate.sessions import Sessions
from oidcgate.gate.token_revocation import TokenRevocation
from oidcgate.storage.records import RecordStore
from oidcgate.web.cookies import CookieNames

__all__ = ["GateParts"]


@dataclass(frozen=True)
class GateParts:
    """What a gate is made of, at one host.

    Attributes:
        config: what holds at this host.
        state: the state store; what is kept there has parts of its own.
        users: the directory; `known_users` remembers what it said.
        pins: whose each userName is. Sign-ins go by them unless `users.insecure_unpinned` is set.
        relying_parties: by issuer; those of this host.
        routes: answers everything under `/.oidcgate/`.
        refusals: turns decisions into answers.
        refresher: renews the tokens of sessions; None where none are kept.
        elsewhere: the same gate at each other host. Stores, directory, pins, contexts and the refresher are
            the same there, and what ends sessions at one host ends those of all.
    """

    config: GateConfig
    names: CookieNames
    policy: Policy
    state: RecordStore
    sessions: Sessions
    token_revocation: TokenRevocation
    users: UserDirectory
    known_users: KnownUsers
    pins: Pins
    relying_parties: Mapping[str, RelyingParty]
    contexts: Contexts
    last_sign_ins: LastSignIns
    routes: Routes
    refusals: Refusals
    audit: Audit
    clock: Callable[[], float]
    refresher: Refresher | None
    elsewhere: "tuple[GateParts, ...]" = ()

    @property
    def at_each_host(self) -> "tuple[GateParts, ...]":
        """The gate at every host, this one first."""
        return (self, *self.elsewhere)
