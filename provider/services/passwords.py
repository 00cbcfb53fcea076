"""What a new password has to be, and making its hash, with argon2id.

Checking one at sign-in, a few at a time, is `provider.factors.password`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from argon2 import PasswordHasher

from provider.user_settings import fold_user_name

#: Longer ones are refused unread: hashing must not be made dearer by whoever sends the form.
LONGEST_PASSWORD_BYTES: Final = 1024

# What guessers try first, of those that are long enough. Slowing guesses does the rest.
_FIRST_GUESSES: Final = frozenset(
    """
    00000000 11111111 12341234 12345678 123456789 1234567890 123123123 123qweasd 147258369 1q2w3e4r
    1qaz2wsx 87654321 987654321 a1b2c3d4 aa123456 abc12345 abcd1234 abcdefgh administrator adminadmin
    admin123 asdfghjkl asdf1234 baseball basketball changeme charlie1 computer dragon123 football iloveyou
    jennifer letmein1 letmein123 liverpool login123 master123 michael1 monkey123 p@ssw0rd passpass
    passw0rd password password1 password12 password123 password1234 princess princess1 q1w2e3r4 qazwsxedc
    qwer1234 qwerty12 qwerty123 qwerty1234 qwertyui qwertyuiop secret123 starwars sunshine superman
    test1234 trustno1 welcome1 welcome123 whatever zaq12wsx zxcvbnm1
    """.split()  # noqa: SIM905 (a list of words, not of code)
)
#: Fewer different characters are no password, however many there are.
_DIFFERENT: Final = 3


class Weakness(StrEnum):
    """Why a text may not become somebody's password."""

    SHORT = "short"
    LONG = "long"
    GUESSABLE = "guessable"
    """It is the user name, among the first that are tried, or a character or two over and over."""


def weakness_of(password: str, *, fewest: int, user_name: str) -> Weakness | None:
    """What keeps a text from becoming a password; None when nothing does.

    No rule about kinds of characters: these make passwords that are alike.

    Args:
        fewest: `account.password_characters`.

    Spec: NIST SP 800-63B 5.1.1.2.
    """
    if len(password) < fewest:
        return Weakness.SHORT
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD_BYTES:
        return Weakness.LONG
    folded = fold_user_name(password)
    if folded in (fold_user_name(user_name), *_FIRST_GUESSES) or len(set(folded)) < _DIFFERENT:
        return Weakness.GUESSABLE
    return None


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
