"""What may be said of one person, in `provider.toml` and by `oidcgate-provider user`, and how names compare.

A person as the provider works with them is `provider.store.users.User`; further attributes are what
`provider.property_settings` declares.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from oidcgate.settings import Problem, Secret, cross_check, setting
from provider.property_settings import NAMED_ATTRIBUTES, ORGANIZATIONS

_ARGON2ID: Final = re.compile(r"\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_USER_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class UserSettings:
    """One person written in the file. What is left out is absent from the claims, never null."""

    user_name: str = setting(help="The name to sign in with, and `preferred_username`.")
    user_id: str = setting(
        default="",
        help="The `sub`; default: a UUID derived from the realm and the name, so it changes with them.",
    )
    password_hash: Secret | None = setting(
        default=None,
        help="argon2id, as `oidcgate-provider user password --print-hash` prints it; none: no password.",
    )
    active: bool = setting(default=True, help="false: cannot sign in, and live tokens stop.")
    name: str = setting(default="", help="Full name.")
    given_name: str = setting(default="", help="First name.")
    family_name: str = setting(default="", help="Last name.")
    middle_name: str = setting(default="", help="Middle name.")
    nickname: str = setting(default="", help="Casual name.")
    profile: str = setting(default="", help="URL of the profile page.")
    picture: str = setting(default="", help="URL of a picture.")
    website: str = setting(default="", help="URL of the home page.")
    gender: str = setting(default="", help="Gender.")
    birthdate: str = setting(default="", help="YYYY-MM-DD.")
    zoneinfo: str = setting(default="", help="Time zone, such as Europe/Paris.")
    locale: str = setting(default="", help="Language, such as en-GB.")
    updated_at: int | None = setting(default=None, minimum=0, help="Epoch seconds of the last change.")
    email: str = setting(default="", help="E-mail address.")
    email_verified: bool | None = setting(default=None, help="Whether the address was verified.")
    phone_number: str = setting(default="", help="E.164 number.")
    phone_number_verified: bool | None = setting(default=None, help="Whether the number was verified.")
    address: Mapping[str, Any] = setting(
        factory=dict, help="OIDC Core 5.1.1 members, such as locality and country."
    )
    groups: tuple[str, ...] = setting(default=(), help="Groups, given with the scope `groups`.")
    organizations: tuple[str, ...] = setting(
        default=(), help="The org_id of each organization that the person belongs to."
    )
    attributes: Mapping[str, Any] = setting(
        factory=dict, help="Further attributes, which `[[properties]]` declares."
    )

    def all_attributes(self) -> dict[str, Any]:
        """The attributes of this person that have a value: standard claims, and further ones."""
        named = {name: getattr(self, name) for name in NAMED_ATTRIBUTES}
        values = {name: value for name, value in named.items() if value not in ("", None, (), {})}
        for name in {"groups", ORGANIZATIONS} & values.keys():
            values[name] = list(values[name])
        if "address" in values:
            values["address"] = dict(values["address"])
        return {**values, **self.attributes}

    @cross_check
    def _standard_ones_stand_alone(self) -> Iterable[Problem]:
        for name in self.attributes:
            if name in NAMED_ATTRIBUTES:
                yield Problem(f"attributes.{name}", None, "has a key of its own", f"write it as {name} = …")

    @cross_check
    def _usable_name(self) -> Iterable[Problem]:
        problem = user_name_problem(self.user_name)
        if problem:
            yield Problem("user_name", self.user_name, problem, "choose another")

    @cross_check
    def _usable_id(self) -> Iterable[Problem]:
        if self.user_id and not _USER_ID.fullmatch(self.user_id):
            yield Problem("user_id", self.user_id, "is not 1 to 255 visible ASCII characters", "use a UUID")

    @cross_check
    def _usable_hash(self) -> Iterable[Problem]:
        if self.password_hash is not None and not _ARGON2ID.fullmatch(self.password_hash.reveal()):
            yield Problem(
                "password_hash",
                None,
                "is no argon2id hash",
                "make it with `oidcgate-provider user password --print-hash`",
            )


def user_name_problem(name: str) -> str | None:
    """What is wrong with a user name; None for nothing."""
    if not name or len(name) > 255:
        return "is empty or longer than 255 characters"
    if name != name.strip() or not name.isprintable():
        return "begins or ends with a space, or has control characters"
    return None


def fold_user_name(name: str) -> str:
    """The form in which two user names are compared: as SCIM does, without case and after NFKC."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
