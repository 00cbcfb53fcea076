"""Making password hashes, with argon2id.

Checking one at sign-in, a few at a time, is `provider.factors.password`.
"""

from dataclasses import dataclass, field
from typing import Final

from argon2 import PasswordHasher

#: Longer ones are refused unread: hashing must not be made dearer by whoever sends the form.
LONGEST_PASSWORD_BYTES: Final = 1024


@dataclass(frozen=True)
class Passwords:
    """Hashes passwords.

    Attributes:
        hasher: argon2id and its cost; stored hashes of another cost are checked with their own.
    """

    hasher: PasswordHasher = field(default_factory=PasswordHasher)

    def hash(self, password: str) -> str:
        """The argon2id hash to store.

        Raises:
            ValueError: the password is empty or over `LONGEST_PASSWORD_BYTES`.
        """
        return self.hasher.hash(self.check(password))

    @staticmethod
    def check(password: str) -> bytes:
        """The password's bytes, if it may be one.

        Raises:
            ValueError: it is empty or over `LONGEST_PASSWORD_BYTES`.
        """
        encoded = password.encode("utf-8", "surrogatepass")
        if not 0 < len(encoded) <= LONGEST_PASSWORD_BYTES:
            raise ValueError(f"a password has 1 to {LONGEST_PASSWORD_BYTES} bytes")
        return encoded
