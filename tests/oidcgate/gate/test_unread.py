"""Settings without effect: each is told by its key, with who would read it."""

from typing import Any

import pytest

from oidcgate.gate.config import GateConfig, config_from_mapping
from oidcgate.gate.unread import READERS, Use, unread, unread_line
from oidcgate.settings import describe
from tests.oidcgate.gate.test_config import minimal

SERVE = {"bind": "127.0.0.1:1", "threads": 9, "head_seconds": 9, "client_idle_seconds": 9}
PROXY = {"upstream": "http://a", "message_bytes": 2048, "insecure_encoded_slash": True}


def keys(use: Use, **tables: Any) -> set[str]:
    return {found.key for found in unread(config_from_mapping(minimal(**tables)), use)}


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (Use.ASYNC, {"serve.threads"}),
        (Use.WSGI, {"serve.head_seconds", "serve.client_idle_seconds", "proxy.message_bytes"}),
        (
            Use.AROUND_A_PROXY,
            {"proxy.upstream", "proxy.message_bytes", *(f"serve.{key}" for key in SERVE)},
        ),
        (Use.AROUND_AN_APP, {*(f"proxy.{key}" for key in PROXY), *(f"serve.{key}" for key in SERVE)}),
    ],
)
def test_what_is_not_read_in_each_use(use: Use, expected: set[str]) -> None:
    assert keys(use, proxy=PROXY, serve=SERVE) == expected
    assert keys(use) == set()
    assert keys(use, forward={"user_headers": ["X-User"]}, session={"idle_minutes": 5}) == set()


def test_one_line_names_keys_and_readers() -> None:
    config = config_from_mapping(minimal(serve=SERVE, proxy={"upstream": "http://a"}))
    assert unread_line(config, Use.AROUND_AN_APP) == (
        "settings that have no effect here: proxy.upstream, serve.bind (for `oidcgate serve`); "
        'serve.threads (for `oidcgate serve` with proxy.engine = "wsgi"); '
        "serve.head_seconds, serve.client_idle_seconds "
        '(for `oidcgate serve` with proxy.engine = "async")'
    )
    assert unread_line(config, Use.ASYNC) == (
        'settings that have no effect here: serve.threads (for `oidcgate serve` with proxy.engine = "wsgi")'
    )
    assert unread_line(config_from_mapping(minimal()), Use.AROUND_AN_APP) is None


def test_every_entry_is_of_a_setting_and_the_sidecar_is_named_as_its_engines() -> None:
    known = {doc.key for doc in describe(GateConfig)}
    assert {reader.key for reader in READERS} - known == {"proxy", "serve"}
    assert {Use("async"), Use("wsgi")} == {Use.ASYNC, Use.WSGI}
