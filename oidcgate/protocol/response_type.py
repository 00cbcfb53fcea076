"""The response types: what an authorization request may ask for, and what its answer then holds.

Which of them a client may use is the provider's to decide.
"""

from dataclasses import dataclass
from typing import Final, Literal

from oidcgate.protocol.errors import UnsupportedResponseType

Flow = Literal["authorization_code", "implicit", "hybrid"]

#: All that there are, in the order of discovery.
RESPONSE_TYPES: Final = (
    "code",
    "id_token",
    "id_token token",
    "token",
    "code id_token",
    "code token",
    "code id_token token",
)


@dataclass(frozen=True)
class ResponseType:
    """One of `RESPONSE_TYPES`. Made by `parse_response_type`.

    Attributes:
        value: Its words in alphabetical order, one space between.

    Spec: OIDC Core 3; OAuth 2.0 Multiple Response Types 3, 5.
    """

    value: str

    @property
    def flow(self) -> Flow:
        """The flow that it starts."""
        if not self.gives_code:
            return "implicit"
        return "hybrid" if self.front_channel_tokens else "authorization_code"

    @property
    def gives_code(self) -> bool:
        """Whether the authorization endpoint answers with a code."""
        return "code" in self._words

    @property
    def gives_access_token(self) -> bool:
        """Whether the authorization endpoint itself answers with an access token."""
        return "token" in self._words

    @property
    def gives_id_token(self) -> bool:
        """Whether the authorization endpoint itself answers with an ID token."""
        return "id_token" in self._words

    @property
    def front_channel_tokens(self) -> bool:
        """Whether any token travels through the browser, where the query is no place for it."""
        return self.gives_access_token or self.gives_id_token

    @property
    def _words(self) -> list[str]:
        return self.value.split(" ")


def parse_response_type(text: str) -> ResponseType:
    """Return the response type that `text` names, its words in any order.

    Raises:
        UnsupportedResponseType: It names none. `none` is not among them.

    Spec: RFC 6749 3.1.1; OAuth 2.0 Multiple Response Types 2, 3, 5.
    """
    value = " ".join(sorted(word for word in text.split(" ") if word))
    if value not in RESPONSE_TYPES:
        raise UnsupportedResponseType("response_type is not supported", detail=f"response_type {text!r}")
    return ResponseType(value)
