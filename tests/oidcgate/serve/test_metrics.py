"""What is counted, over several workers and their ends."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from oidcgate.serve.metrics import Board, Counters, page


def values(text: bytes) -> Mapping[str, float]:
    lines = text.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def counted(*statuses: int, outcome: str = "passed", seconds: float = 0.02) -> Counters:
    counters = Counters()
    for status in statuses:
        counters.request(outcome, status, seconds, 10)
    return counters


def test_requests_by_outcome_and_class() -> None:
    counters = counted(200, 204, 302, 502)
    counters.request("refused", 401, 0.02, 10)
    counters.request("left", 0, 0.02, 0)
    told = values(page(counters.numbers({"connections": 3})))

    assert told['oidcgate_requests_total{outcome="passed",status="2xx"}'] == 2
    assert told['oidcgate_requests_total{outcome="passed",status="3xx"}'] == 1
    assert told['oidcgate_requests_total{outcome="passed",status="5xx"}'] == 1
    assert told['oidcgate_requests_total{outcome="left",status="0xx"}'] == 1
    assert told['oidcgate_refusals_total{status="401"}'] == 1
    assert told["oidcgate_sent_bytes_total"] == 50
    assert told["oidcgate_connections"] == 3


def test_the_histogram_rises() -> None:
    counters = Counters()
    for seconds in (0.0005, 0.001, 0.003, 0.3, 120):
        counters.request("passed", 200, seconds, 0)
    told = values(page(counters.numbers({})))

    assert told['oidcgate_request_seconds_bucket{le="0.001"}'] == 2
    assert told['oidcgate_request_seconds_bucket{le="0.005"}'] == 3
    assert told['oidcgate_request_seconds_bucket{le="0.25"}'] == 3
    assert told['oidcgate_request_seconds_bucket{le="0.5"}'] == 4
    assert told['oidcgate_request_seconds_bucket{le="60.0"}'] == 4
    assert told['oidcgate_request_seconds_bucket{le="+Inf"}'] == 5
    assert told["oidcgate_request_seconds_count"] == 5
    assert told["oidcgate_request_seconds_sum"] == pytest.approx(120.3045)


def test_a_name_that_nobody_declared_is_a_fault() -> None:
    with pytest.raises(KeyError):
        Counters().count("nothing")


class TestSeveralWorkers:
    def test_the_page_is_their_sum(self, tmp_path: Path) -> None:
        board = Board(tmp_path)
        board.write("1-100", counted(200, 200).numbers({"connections": 2}))
        board.write("2-101", counted(200, 500).numbers({"connections": 5}))
        told = values(page(board.total()))

        assert told['oidcgate_requests_total{outcome="passed",status="2xx"}'] == 3
        assert told['oidcgate_requests_total{outcome="passed",status="5xx"}'] == 1
        assert told["oidcgate_connections"] == 7
        assert told["oidcgate_request_seconds_count"] == 4

    def test_nothing_is_counted_before_there_is_a_worker(self, tmp_path: Path) -> None:
        assert values(page(Board(tmp_path).total()))["oidcgate_request_seconds_count"] == 0

    def test_what_one_counted_that_has_ended_stays_and_what_it_had_open_goes(self, tmp_path: Path) -> None:
        board = Board(tmp_path)
        for age in range(150):
            board.write(f"{age}-{age % 7}", counted(200).numbers({"connections": 1}))
            board.end(f"{age}-{age % 7}")
        told = values(page(board.total()))

        assert told['oidcgate_requests_total{outcome="passed",status="2xx"}'] == 150
        assert told.get("oidcgate_connections", 0) == 0
        assert [path.name for path in tmp_path.iterdir()] == ["ended.json"]
        assert (tmp_path / "ended.json").stat().st_size < 10_000

    def test_one_that_ends_while_it_is_read_is_counted_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        board = Board(tmp_path)
        board.write("1-100", counted(200).numbers({}))
        read = Board._read

        def ends_between(self: Board, name: str) -> object:
            found = read(self, name)
            if name == "1-100.json":
                monkeypatch.undo()
                Board(tmp_path).end("1-100")
            return found

        monkeypatch.setattr(Board, "_read", ends_between)
        told = values(page(board.total()))
        assert told['oidcgate_requests_total{outcome="passed",status="2xx"}'] == 1

    def test_one_that_never_counted_is_no_fault(self, tmp_path: Path) -> None:
        Board(tmp_path).end("1-100")
        assert list(tmp_path.iterdir()) == []
