"""What a realm decides for everybody in it: lifetimes, consent, guesses, second factor, account pages.

Names, defaults and ranges only. The tables they stand in, and what is said of one client or person, are
`provider.config`; what follows from them is in the services that are named like them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from oidcgate.settings import Problem, cross_check, setting

#: How a person is named to a client: by one `sub` for all, or by one that no other sector sees.
SUBJECT_TYPES: Final = ("public", "pairwise")
SECOND_FACTOR_MODES: Final = ("off", "acr", "required")


@dataclass(frozen=True)
class Lifetimes:
    """How long what the provider issues is good for. Fractions are allowed everywhere."""

    code_minutes: float = setting(
        default=1.0, minimum=0.05, maximum=10, help="Life of an authorization code."
    )
    access_token_hours: float = setting(
        default=1.0, minimum=0.01, maximum=24 * 30, help="Life of an access token (`expires_in`)."
    )
    id_token_hours: float = setting(
        default=1.0, minimum=0.01, maximum=24, help="Life of an ID token (`exp`)."
    )
    refresh_token_hours: float = setting(
        default=720.0,
        minimum=0.01,
        maximum=24 * 366,
        help="Time from the sign-in after which refreshing ends; rotation does not extend it.",
    )
    clock_skew_minutes: float = setting(
        default=5.0,
        minimum=0,
        maximum=60,
        help="How long after its end the provider's own endpoints still accept an access token.",
    )
    refresh_grace_seconds: int = setting(
        default=30,
        minimum=0,
        maximum=300,
        help="How long a repeated refresh gets the same successor again, while that one is unused; 0: never.",
    )
    device_code_minutes: float = setting(
        default=10.0,
        minimum=1,
        maximum=60,
        help="How long a device waits for a person to type its code and sign in.",
    )
    device_interval_seconds: int = setting(
        default=5,
        minimum=1,
        maximum=60,
        help="How long a device waits between two questions for its tokens; 5 more each time it does not.",
    )
    interaction_minutes: float = setting(
        default=30.0,
        minimum=1,
        maximum=1440,
        help="How long a sign-in may stay on the sign-in or consent page.",
    )
    session_idle_minutes: float = setting(
        default=480.0,
        minimum=1,
        maximum=1440 * 30,
        help="A browser that was not seen for so long signs in anew.",
    )
    session_hours: float = setting(
        default=24.0, minimum=0.02, maximum=24 * 30, help="A sign-in lasts no longer than this, seen or not."
    )

    @property
    def code_seconds(self) -> int:
        """Life of an authorization code."""
        return round(self.code_minutes * 60)

    @property
    def access_token_seconds(self) -> int:
        """Life of an access token, without the skew."""
        return round(self.access_token_hours * 3600)

    @property
    def id_token_seconds(self) -> int:
        """Life of an ID token."""
        return round(self.id_token_hours * 3600)

    @property
    def refresh_token_seconds(self) -> int:
        """Life of a family of refresh tokens."""
        return round(self.refresh_token_hours * 3600)

    @property
    def clock_skew_seconds(self) -> int:
        """What the provider's endpoints add to the end of an access token."""
        return round(self.clock_skew_minutes * 60)

    @property
    def device_code_seconds(self) -> int:
        """Life of a device code, and of the user code that belongs to it."""
        return round(self.device_code_minutes * 60)

    @property
    def interaction_seconds(self) -> int:
        """Life of a sign-in that was begun."""
        return round(self.interaction_minutes * 60)

    @property
    def session_idle_seconds(self) -> int:
        """Life of a browser session that is not used."""
        return round(self.session_idle_minutes * 60)

    @property
    def session_seconds(self) -> int:
        """Longest life of a browser session."""
        return round(self.session_hours * 3600)


@dataclass(frozen=True)
class ConsentSettings:
    """When a person is asked what an application may see."""

    auto_accept: bool = setting(default=False, help="Never ask; each client gets the scopes it may have.")
    store: bool = setting(
        default=True, help="Remember what people agree to; false: they are asked at each sign-in."
    )
    attribute: str = setting(
        default="consents",
        help="Where all consents of a person are kept, as one sealed string: the attribute of a property "
        "that is one writable string of variable length.",
    )


@dataclass(frozen=True)
class SubjectSettings:
    """How people are named to applications (`sub`)."""

    types: tuple[str, ...] = setting(
        default=("public",),
        choices=SUBJECT_TYPES,
        help="What clients may have as subject_type; `pairwise` names a person otherwise in each sector.",
    )
    default: str = setting(
        default="public",
        choices=SUBJECT_TYPES,
        help="The subject_type of a client that is added by a command, or registers itself, and names none.",
    )

    @cross_check
    def _default_offered(self) -> Iterable[Problem]:
        if self.default not in self.types:
            yield Problem(
                "default", self.default, "is not among `types`", "add it there, or choose one that is"
            )


@dataclass(frozen=True)
class ThrottleSettings:
    """How failed sign-ins are slowed, per account and per network, and how many devices may wait."""

    account_failures: int = setting(
        default=5, minimum=1, maximum=1000, help="Wrong passwords for one account before it has to wait."
    )
    network_failures: int = setting(
        default=50, minimum=1, maximum=100_000, help="Wrong passwords from one network before it has to wait."
    )
    first_delay_seconds: int = setting(
        default=2, minimum=1, maximum=3600, help="The first wait; each further failure doubles it."
    )
    longest_delay_seconds: int = setting(default=900, minimum=1, maximum=86_400, help="The longest wait.")
    forget_seconds: int = setting(
        default=3600, minimum=1, maximum=604_800, help="Failures older than this are forgotten."
    )
    devices_per_client: int = setting(
        default=1000,
        minimum=1,
        maximum=100_000,
        help="Device codes of one client that may wait for an answer at the same time. In the name of public "
        "clients one network may begin a twentieth of it, at least 20, before it has to wait.",
    )


@dataclass(frozen=True)
class SecondFactorSettings:
    """Whether people show a code of their authenticator (TOTP) beside the password."""

    mode: str = setting(
        default="off",
        choices=SECOND_FACTOR_MODES,
        help="`acr`: when an application asks for it; `required`: at every sign-in; `off`: there is none.",
    )
    enrol_at_sign_in: bool = setting(
        default=False,
        help="Whoever is asked for a code and has no authenticator sets one up then and there.",
    )
    drift_steps: int = setting(
        default=1,
        minimum=0,
        maximum=10,
        help="How many steps of 30 seconds the clock of an authenticator may be off, either way.",
    )


@dataclass(frozen=True)
class AccountSettings:
    """The pages on which people look after their own account, and what a password has to be."""

    fresh_minutes: float = setting(
        default=10.0,
        minimum=2,
        maximum=1440,
        help="Who changes a password, an authenticator, sign-ins or the access of applications has signed in "
        "no longer ago than this; others sign in once more.",
    )
    password_characters: int = setting(
        default=8, minimum=8, maximum=64, help="The fewest characters that a new password has."
    )

    @property
    def fresh_seconds(self) -> int:
        """How young a sign-in is for what is sensitive."""
        return round(self.fresh_minutes * 60)
