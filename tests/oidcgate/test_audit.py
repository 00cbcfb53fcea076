"""One event, one line."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.audit import MAX_TEXT, Audit, Event
from oidcgate.settings import Secret


@dataclass(frozen=True)
class Sample(Event):
    name: ClassVar[str] = "sample"
    value: Any
    more: Mapping[str, Any] = field(default_factory=dict)


def written(value: Any, *, at: float = 1_800_000_000.25) -> tuple[str, dict[str, Any]]:
    lines: list[str] = []
    Audit(lines.append, lambda: at).emit(Sample(value))
    (line,) = lines
    return line, json.loads(line)


def test_a_line_is_json_with_name_time_and_fields() -> None:
    line, event = written("x")
    assert event == {"event": "sample", "at": "2027-01-15T08:00:00.250Z", "value": "x", "more": {}}
    assert line.startswith('{"event":"sample","at":')


@given(st.text())
def test_whatever_the_text_it_stays_one_printable_line(text: str) -> None:
    line, event = written(text)
    assert line.isascii()
    assert line.isprintable()
    assert event["value"] == (text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…")


def test_long_texts_are_cut() -> None:
    assert written("a" * 501)[1]["value"] == "a" * 499 + "…"
    assert written("a" * 500)[1]["value"] == "a" * 500
    assert written(["a" * 501])[1]["value"] == ["a" * 499 + "…"]
    assert len(written(list(range(100_000)))[0]) < 500
    assert len(written({str(n): n for n in range(100_000)})[0]) < 1000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (("pwd", "otp"), ["pwd", "otp"]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({"a": {"b": ("c",)}}, {"a": {"b": ["c"]}}),
        (b"bytes", "b'bytes'"),
        (Secret("canary"), "***"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_become_json(value: object, shown: object) -> None:
    assert written(value)[1]["value"] == shown


def test_the_default_writer_is_the_audit_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="oidcgate.audit"):
        Audit(clock=lambda: 0).emit(Sample("100% %s"))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("oidcgate.audit", logging.INFO)
    assert json.loads(record.getMessage())["value"] == "100% %s"
