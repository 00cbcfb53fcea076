"""A client that proved itself is refused something: it is told little, the operator who it was and why."""

import json

import pytest

from tests.provider.endpoints.apis import CLOSED, ORDERS, PRIVATE, SECRETS, as_client
from tests.provider.world import REDIRECT_URI, VERIFIER, World

CLIENT_CREDENTIALS = {"grant_type": "client_credentials"}
CODE = "no-such-code-3kQzX7VbN1mRtY9w"


def refusals(world: World) -> list[dict[str, str]]:
    events = [json.loads(line) for line in world.events]
    return [event for event in events if event["event"] == "provider.request_refused"]


@pytest.mark.row("P-40", "P-15")
@pytest.mark.parametrize(
    ("client_id", "form", "error", "detail"),
    [
        pytest.param(
            "robot", {"grant_type": "passwort"}, "unsupported_grant_type", "grant_type 'passwort' is not",
            id="grant-type-misspelt",
        ),
        pytest.param(
            "till", CLIENT_CREDENTIALS, "unauthorized_client", "client_credentials is not among its flows",
            id="flow-off",
        ),
        pytest.param(
            "robot", {**CLIENT_CREDENTIALS, "resource": f"{ORDERS}/"}, "invalid_target",
            f"the API '{ORDERS}/' is not among the resources", id="api-misspelt",
        ),
        pytest.param(
            "robot", {**CLIENT_CREDENTIALS, "resource": CLOSED}, "invalid_target",
            f"the API '{CLOSED}' is switched off", id="api-off",
        ),
        pytest.param(
            "robot", {**CLIENT_CREDENTIALS, "resource": PRIVATE}, "invalid_target",
            f"the API '{PRIVATE}' does not list this client", id="api-of-others",
        ),
        pytest.param(
            "robot", {**CLIENT_CREDENTIALS, "resource": ORDERS, "scope": "orders.reed"}, "invalid_scope",
            "nothing that can be granted is in 'orders.reed'", id="scope-misspelt",
        ),
        pytest.param(
            "app",
            {
                "grant_type": "authorization_code", "code": CODE, "redirect_uri": REDIRECT_URI,
                "code_verifier": VERIFIER,
            },
            "invalid_grant", "unknown", id="code-unknown",
        ),
    ],
)  # fmt: skip
def test_the_operator_reads_which_client_and_why(
    apis: World, client_id: str, form: dict[str, str], error: str, detail: str
) -> None:
    answer = as_client(apis, client_id, "/token", **form)
    assert answer.get_json()["error"] == error
    (event,) = refusals(apis)
    assert (event["client_id"], event["path"], event["error"]) == (client_id, "/token", error)
    assert detail in event["detail"]
    assert detail not in answer.get_data(as_text=True)
    assert not [secret for secret in (CODE, VERIFIER, SECRETS["robot"]) if secret in json.dumps(event)]


@pytest.mark.row("P-40")
def test_what_is_answered_is_no_refusal(apis: World) -> None:
    assert as_client(apis, "robot", "/token", **CLIENT_CREDENTIALS, resource=ORDERS).status_code == 200
    assert refusals(apis) == []
