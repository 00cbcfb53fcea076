"""The settings of a sign-in as a browser sees it: `[login]`.

What is set beside them is in `oidcgate.gate.config`.
"""

import dataclasses

from oidcgate.settings import setting

__all__ = ["LoginSettings"]


@dataclasses.dataclass(frozen=True)
class LoginSettings:
    """`[login]`: how a sign-in begins and what of the page before is kept."""

    keep_fragment: bool = setting(
        default=True,
        help="Keep the #fragment of an address through a sign-in. A browser then passes a page with a script "
        "on its way to the IdP, and another on its way back if there was one.",
    )
    keep_form_bytes: int = setting(
        default=65_536,
        minimum=0,
        maximum=262_144,
        help="The longest form that is kept when it is sent after its session ended, to be sent again by a "
        "click; 0: none. Forms lie sealed in the state store, for half an hour, at most 256 at a time.",
    )
    accept_login_hint: bool = setting(
        default=False,
        help="Pass on the login_hint of a sign-in that another site begins "
        "(`/.oidcgate/login?iss=…&login_hint=…`). Anybody can write one.",
    )
