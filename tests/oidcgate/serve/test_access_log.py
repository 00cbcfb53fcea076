"""The access log: what a line says, and when it goes out."""

import json

from oidcgate.serve.access_log import AccessLog, Entry

ENTRY = Entry("192.0.2.7", "GET", "/reports", 200, 312, 0.0123456, "Ålice", "passed")


class Written:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.log = AccessLog(self.pieces.append, clock=lambda: 1_700_000_000.9876)

    def lines(self) -> list[str]:
        return b"".join(self.pieces).decode("ascii").splitlines()


def test_a_line() -> None:
    written = Written()
    written.log.note(ENTRY)
    assert written.pieces == []
    written.log.flush()

    [line] = written.lines()
    assert json.loads(line) == {
        "at": "2023-11-14T22:13:20.987Z",
        "client": "192.0.2.7",
        "method": "GET",
        "path": "/reports",
        "status": 200,
        "bytes": 312,
        "seconds": 0.012346,
        "user": "Ålice",
        "outcome": "passed",
    }


def test_nothing_in_it_can_make_another_line_or_field() -> None:
    written = Written()
    evil = 'x"\n{"status":200}\r\u2028\x00\\'
    written.log.note(ENTRY._replace(path=evil, user=evil, client=evil, method=evil, outcome=evil))
    written.log.flush()

    [line] = written.lines()
    told = json.loads(line)
    assert told["path"] == told["user"] == told["client"] == told["method"] == told["outcome"] == evil


def test_a_long_path_is_cut() -> None:
    written = Written()
    written.log.note(ENTRY._replace(path="/" + "a" * 30_000))
    written.log.flush()

    assert len(json.loads(written.lines()[0])["path"]) == 1024


def test_many_lines_go_out_by_themselves_and_whole() -> None:
    written = Written()
    for _ in range(1000):
        written.log.note(ENTRY)
    assert len(written.pieces) > 10
    written.log.flush()
    assert len(written.lines()) == 1000
    # What is longer may be mixed with what another process writes.
    assert all(len(piece) <= 4096 and piece.endswith(b"}\n") for piece in written.pieces)


def test_nothing_is_written_twice() -> None:
    written = Written()
    written.log.note(ENTRY)
    written.log.flush()
    written.log.flush()
    assert len(written.lines()) == 1
