"""A provider with APIs: clients that act for themselves, that ask about tokens and give them back."""

from pathlib import Path
from typing import Any

from werkzeug.test import TestResponse

from tests.provider.world import APP_SECRET, OTHER_SECRET, REDIRECT_URI, World, basic, config

ORDERS = "https://orders.example"
LEGACY = "https://legacy.example"
CLOSED = "https://closed.example"
PRIVATE = "https://private.example"
SECRETS = {
    name: f"{name}-3kQzX7VbN1mRtY9wLpGdHs5JfCe2AuKo8TiZq4ExA" for name in ("robot", "inspector", "till")
}

RESOURCES: list[dict[str, Any]] = [
    {"audience": ORDERS, "scopes": ["orders.read", "orders.write", "orders.erase"]},
    {"audience": LEGACY, "scopes": ["legacy.read"], "access_token_format": "opaque"},
    {"audience": CLOSED, "scopes": ["orders.read"], "enabled": False},
    {"audience": PRIVATE, "scopes": ["orders.read"], "clients": ["inspector"]},
]
SCOPES = [
    *(
        {"value": value}
        for value in ("orders.read", "orders.write", "orders.erase", "legacy.read", "reports")
    ),
    {"value": "staff", "claims": ["department"]},
]
CLIENTS: list[dict[str, Any]] = [
    {
        "client_id": "robot",
        "client_secret": SECRETS["robot"],
        "flows": ["client_credentials", "revocation"],
        "scopes": ["*"],
        "restricted_scopes": ["orders.erase"],
    },
    # Its name is on the list of PRIVATE.
    {"client_id": "inspector", "client_secret": SECRETS["inspector"], "flows": ["introspection"]},
    {
        "client_id": "till",
        "client_secret": SECRETS["till"],
        "flows": ["password", "refresh_token", "introspection", "revocation"],
        "scopes": ["*"],
    },
    {
        "client_id": "app",
        "client_secret": APP_SECRET,
        "redirect_uris": [REDIRECT_URI],
        "flows": ["authorization_code", "refresh_token", "revocation"],
        "scopes": ["*"],
    },
    {
        "client_id": "other",
        "client_secret": OTHER_SECRET,
        "redirect_uris": ["https://other.example/cb"],
        "flows": ["authorization_code", "revocation"],
    },
    {
        "client_id": "native",
        "auth_method": "none",
        "redirect_uris": ["https://native.example/cb"],
        "flows": ["authorization_code", "refresh_token", "revocation"],
    },
]


def world_with_apis(database: Path | str, **changes: Any) -> World:
    """Start it; `changes` go to the top of its configuration."""
    catalogue = {
        "resources": RESOURCES,
        "scopes": SCOPES,
        "claims": [{"name": "department", "property": "department"}],
        "properties": [{"name": "department"}],
        "organizations": [{"org_id": "acme", "name": "Acme"}],
        "users": [{**person, "organizations": ["acme"]} for person in config(database)["users"]],
    }
    return World.over(database, **{"clients": CLIENTS, **catalogue, **changes})


def as_client(world: World, client_id: str, path: str, **form: str) -> TestResponse:
    """What a client that presents itself by Basic is answered."""
    secret = {**SECRETS, "app": APP_SECRET, "other": OTHER_SECRET}[client_id]
    return world.post(path, form, headers={"Authorization": basic(client_id, secret)})


def robot(world: World, **form: str) -> TestResponse:
    """A token request of the client `robot` for itself."""
    return as_client(world, "robot", "/token", grant_type="client_credentials", **form)


def with_client(client_id: str, **changes: Any) -> list[dict[str, Any]]:
    """The clients, one of them otherwise."""
    return [{**client, **changes} if client["client_id"] == client_id else client for client in CLIENTS]
