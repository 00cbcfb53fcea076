"""How clients are told that a session has ended, in `provider.toml` under `[logout]`.

Names and defaults only. Where calls may go, and how long one may take, is `provider.outbound_settings`.
"""

from dataclasses import dataclass

from oidcgate.settings import setting


@dataclass(frozen=True)
class LogoutSettings:
    """Telling clients of a sign-out."""

    attempts: int = setting(
        default=10, minimum=1, maximum=30, help="How often a notice is sent before it is listed as failed."
    )
    give_up_hours: float = setting(
        default=24.0,
        minimum=0.1,
        maximum=720,
        help="How long after the end of the session it may still be sent.",
    )
    parallel: int = setting(
        default=16, minimum=2, maximum=256, help="How many notices each process sends at the same time."
    )
    frame_seconds: int = setting(
        default=5,
        minimum=1,
        maximum=60,
        help="How long the page of the front channel waits for its frames before it goes on.",
    )

    @property
    def give_up_seconds(self) -> int:
        """The same in seconds."""
        return round(self.give_up_hours * 3600)
