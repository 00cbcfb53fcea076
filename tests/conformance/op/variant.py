"""One way of asking that a plan runs its modules with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """Response type, response mode and client authentication of a run, and how it comes by its clients."""

    response_type: str
    response_mode: str = "default"
    client_auth: str = "client_secret_basic"
    registration: str = "static"

    @property
    def registers(self) -> bool:
        """Whether each module registers the clients that it needs."""
        return self.registration == "dynamic"

    @property
    def gives_code(self) -> bool:
        return "code" in self.response_type.split()

    @property
    def gives_token(self) -> bool:
        """Whether the authorization endpoint itself gives an access token."""
        return "token" in self.response_type.split()

    @property
    def gives_id_token(self) -> bool:
        """Whether the authorization endpoint itself gives an ID token."""
        return "id_token" in self.response_type.split()

    @property
    def ends_with_access_token(self) -> bool:
        """Whether there is an access token at the end, from wherever."""
        return self.gives_code or self.gives_token

    @property
    def place(self) -> str:
        """Where the answer has to be: query, fragment or form."""
        if self.response_mode == "form_post":
            return "form"
        return "query" if self.response_type == "code" else "fragment"

    def __str__(self) -> str:
        words = [self.response_type.replace(" ", "+")]
        words += [self.response_mode] if self.response_mode != "default" else []
        words += [self.client_auth] if self.client_auth != "client_secret_basic" else []
        return "-".join(words)
