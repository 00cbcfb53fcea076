"""Applications for some people only. Pure.

A sign-in that ends here is `interaction`; tokens that end with a membership, `token_checks`.
"""

from provider.store.clients import Client
from provider.store.users import User


def may_use(client: Client, user: User) -> bool:
    """Whether a person is among those that the client is for (E-27)."""
    if not client.allowed_users and not client.allowed_groups:
        return True
    groups = user.attributes.get("groups")
    member = isinstance(groups, list | tuple) and any(group in client.allowed_groups for group in groups)
    return member or user.user_name_key in client.allowed_users
