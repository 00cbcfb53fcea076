"""The second factor: a code of six digits that an authenticator makes anew every 30 seconds (TOTP).

Here lives what a secret and a code are: making and sealing one, finding the time step a code belongs to. That
a code is good once is a statement in `provider.store.totp`; how often one may try is
`provider.services.throttle`; what a person sees to set one up is `enrolment` next door.

Spec: RFC 6238; RFC 4226.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Final

import pyotp

from oidcgate.web.sealing import KeyRing, Sealer
from provider.realm import Realm

STEP_SECONDS: Final = 30
DIGITS: Final = 6
# ASCII digits only: `int` would take those of any script, and a code has one spelling.
_CODE: Final = re.compile(f"[0-9]{{{DIGITS}}}")
#: Apps show a code in two groups, and people type it so.
_SPACES: Final = re.compile(r"\s+")


def new_secret() -> str:
    """A fresh secret: 160 random bits in base32, as RFC 4226 4 wants it and authenticators take it."""
    return pyotp.random_base32()


def matching_step(secret: str, code: str, now: int, drift_steps: int) -> int | None:
    """The latest time step near `now` whose code this is; None for none.

    Every step of the window is compared, in constant time, so that how long it takes says nothing about which
    one it was or how much of a guess was right.

    Args:
        drift_steps: How many steps before and after the present one count.

    Spec: RFC 6238 5.2, 6.
    """
    typed = _SPACES.sub("", code)
    present = now // STEP_SECONDS
    if not _CODE.fullmatch(typed):
        return None
    generator = pyotp.HOTP(secret, digits=DIGITS)
    found = None
    for step in range(max(0, present - drift_steps), present + drift_steps + 1):
        if hmac.compare_digest(generator.at(step), typed):
            found = step
    return found


@dataclass(frozen=True)
class TotpSecrets:
    """Seals the secrets of people. One that was sealed for somebody else, or another realm, does not open.

    Attributes:
        ring: The first key seals, all open.
    """

    ring: KeyRing

    def seal(self, realm: Realm, user_id: str, secret: str, now: int) -> str:
        """A secret as it is stored."""
        return self._sealer(realm, user_id).seal(secret.encode(), now)

    def open(self, realm: Realm, user_id: str, sealed: str) -> str | None:
        """What `seal` was given; None when its key is gone, or the row is not this person's."""
        opened = self._sealer(realm, user_id).open(sealed)
        return None if opened is None else opened.decode()

    def wait(self, realm: Realm, sid: str, secret: str, now: int) -> str:
        """A secret that nobody has shown a code of yet, as a form of that session carries it."""
        return self._waiting(realm, sid).seal(secret.encode(), now)

    def waiting(self, realm: Realm, sid: str, sealed: str) -> str | None:
        """What `wait` was given; None when it is of another session, or nothing of ours."""
        opened = self._waiting(realm, sid).open(sealed)
        return None if opened is None else opened.decode()

    def _sealer(self, realm: Realm, user_id: str) -> Sealer:
        return Sealer(self.ring, "provider-totp", f"{realm.issuer} {user_id}")

    def _waiting(self, realm: Realm, sid: str) -> Sealer:
        # For another purpose: what is stored of somebody never passes for what a form carries.
        return Sealer(self.ring, "provider-totp-waiting", f"{realm.issuer} {sid}")
