"""The answer to a pushed authorization request."""

from typing import Any

import pytest

from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.pushed_authorization import check_pushed_response


@pytest.mark.parametrize("request_uri", ["u", "urn:ietf:params:oauth:request_uri:x", "u" * 2048])
def test_it_names_where_the_request_is(request_uri: str) -> None:
    assert check_pushed_response({"request_uri": request_uri, "expires_in": 60}) == request_uri


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"REQUEST_URI": "u"}, id="in-capitals"),
        pytest.param({"request_uri": None}, id="null"),
        pytest.param({"request_uri": 5}, id="a-number"),
        pytest.param({"request_uri": ["u"]}, id="a-list"),
        pytest.param({"request_uri": b"u"}, id="bytes"),
        pytest.param({"request_uri": ""}, id="empty"),
        pytest.param({"request_uri": "u" * 2049}, id="too-long"),
        pytest.param({"request_uri": "u\n"}, id="a-control-character"),
        pytest.param({"request_uri": "ü"}, id="not-ascii"),
    ],
)
def test_or_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        check_pushed_response(document)
    assert refused.value.reason is Reason.PUSHED_RESPONSE_MALFORMED
    assert refused.value.detail == "request_uri is missing or malformed"
