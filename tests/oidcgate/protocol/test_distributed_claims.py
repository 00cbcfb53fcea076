"""Claims of others: what they are called, and that nobody can make the list long."""

from typing import Any

import pytest

from oidcgate.protocol.distributed_claims import claims_elsewhere


@pytest.mark.parametrize(
    ("claims", "names"),
    [
        pytest.param({}, (), id="none"),
        pytest.param(
            {"_claim_names": {"groups": "src1", "address": "src2"}}, ("address", "groups"), id="two"
        ),
        pytest.param({"_claim_names": {"groups": "src1"}, "groups": ["a"]}, (), id="stated-besides"),
        pytest.param({"_claim_names": "groups"}, (), id="a-text"),
        pytest.param({"_claim_names": ["groups"]}, (), id="a-list"),
        pytest.param({"_claim_names": None}, (), id="null"),
        pytest.param({"hasgroups": True}, ("groups",), id="entra"),
        pytest.param({"hasgroups": "true"}, ("groups",), id="entra-as-text"),
        pytest.param({"hasgroups": False}, (), id="entra-no"),
        pytest.param({"hasgroups": "false"}, (), id="entra-no-as-text"),
        pytest.param({"hasgroups": True, "groups": []}, (), id="entra-stated"),
        pytest.param({"_claim_names": {"a" * 200: "x"}}, ("a" * 100,), id="a-long-name"),
    ],
)
def test_what_somebody_else_states(claims: dict[str, Any], names: tuple[str, ...]) -> None:
    assert claims_elsewhere(claims) == names


def test_no_more_than_twenty_are_named() -> None:
    many = {f"claim-{number:02}": "x" for number in range(30)}
    assert claims_elsewhere({"_claim_names": many}) == tuple(sorted(many)[:20])
