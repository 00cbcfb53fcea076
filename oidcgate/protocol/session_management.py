"""Session management: `session_state`, by which a page of a client asks whether somebody is still signed in.

Built by the provider, read by the relying party.

What the state of a browser is, and the frame that compares, are the provider's own.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

_LONGEST_STATE: Final = 500


def session_state_of(pairs: Iterable[tuple[str, str]]) -> str | None:
    """Return the `session_state` of an authorization response; None where there is none to ask about.

    What is repeated, or has a space or another character that the question cannot have, counts as none.

    Spec: OIDC Session Management 1.0 2.
    """
    values = [value for name, value in pairs if name == "session_state"]
    if len(values) != 1 or not 0 < len(values[0]) <= _LONGEST_STATE:
        return None
    return values[0] if all("!" <= character <= "~" for character in values[0]) else None


def build_session_state(client_id: str, origin: str, browser_state: str, salt: str) -> str:
    """Return what a client is given, to be compared in its browser later.

    Client and origin are part of it: two clients cannot tell from theirs that they look at one browser, and
    who asks from another origin, or for another client, never hears that nothing has changed.

    Args:
        origin: Of the redirect URI, as a browser writes it (`oidcgate.protocol.urls.Origin`).
        browser_state: What changes when somebody signs in or out. Not to be guessed.
        salt: Random, new each time; with neither a space nor a dot.

    Spec: OIDC Session Management 1.0 2, 3.2.
    """
    text = f"{client_id} {origin} {browser_state} {salt}"
    return f"{hashlib.sha256(text.encode()).hexdigest()}.{salt}"
