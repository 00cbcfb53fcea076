"""Header fields by themselves: which could be read as two, and what is remembered of their names."""

import pytest

from oidcgate.proxy.fields import BadHead, ByName, HeaderPair, HeadFault, header_lines, is_token, nominated_by


def test_lines_of_a_head() -> None:
    assert header_lines([(b"a", b"1"), (b"B-c", b"x  y")]) == b"a: 1\r\nB-c: x  y\r\n"
    assert header_lines([]) == b""


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        pytest.param((b"", b"x"), HeadFault.NAME, id="empty-name"),
        pytest.param((b"a b", b"x"), HeadFault.NAME, id="blank-in-name"),
        pytest.param((b"a:", b"x"), HeadFault.NAME, id="colon-in-name"),
        pytest.param((b"a\r\nb", b"x"), HeadFault.NAME, id="break-in-name"),
        pytest.param((b"a\n", b"x"), HeadFault.NAME, id="break-behind-name"),
        pytest.param((b"\xc3\xa4", b"x"), HeadFault.NAME, id="name-beyond-ascii"),
        pytest.param((b"a", b"x\r\nb: y"), HeadFault.VALUE, id="crlf"),
        pytest.param((b"a", b"x\nb: y"), HeadFault.VALUE, id="lf"),
        pytest.param((b"a", b"x\ry"), HeadFault.VALUE, id="cr"),
        pytest.param((b"a", b"x\0y"), HeadFault.VALUE, id="nul"),
    ],
)
def test_what_could_be_two_fields_is_refused(header: HeaderPair, fault: HeadFault) -> None:
    with pytest.raises(BadHead) as refusal:
        header_lines([header])
    assert (refusal.value.fault, refusal.value.status) == (fault, 400)
    assert is_token(header[0]) is (fault is not HeadFault.NAME)


@pytest.mark.parametrize(
    ("values", "nominated"),
    [
        pytest.param([b"close"], {b"close"}, id="option"),
        pytest.param([b"X-Hop ,\tx-other"], {b"x-hop", b"x-other"}, id="list"),
        pytest.param([b"a", b"b"], {b"a", b"b"}, id="repeated"),
        pytest.param([b"Cookie, host, authorization, content-type, x"], {b"x"}, id="what-was-judged"),
    ],
)
def test_what_connection_takes_with_it(values: list[bytes], nominated: set[bytes]) -> None:
    headers = [(b"Connection", value) for value in values]

    assert nominated_by([(b"accept", b"x-not"), *headers]) == nominated


def test_names_are_judged_once_and_remembered_up_to_a_bound() -> None:
    asked: list[bytes] = []

    def judge(name: bytes) -> int:
        asked.append(name)
        return len(name)

    judged = ByName(judge)
    assert (judged[b"abc"], judged[b"abc"], len(asked)) == (3, 3, 1)

    # A name as long as a head lets it be would cost as much memory.
    assert (judged[b"x" * 65], judged[b"x" * 65], len(asked)) == (65, 65, 3)

    for number in range(5000):
        assert judged[b"%d" % number] == len(str(number))
    assert len(judged) <= 1024
    assert judged[b"late"] == 4
