"""What becomes of a notice after an attempt."""

import pytest

from provider.services.notice_rules import Done, GivenUp, Later, Limits, Sent, jti_of, pause_seconds, verdict

NOW = 1_000_000
LIMITS = Limits(attempts=10, give_up_seconds=86_400)


def judge(
    sent: Sent, attempts: int = 1, created_at: int = NOW, chance: float = 1.0
) -> Done | Later | GivenUp:
    return verdict(sent, attempts=attempts, created_at=created_at, limits=LIMITS, now=NOW, chance=chance)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
@pytest.mark.parametrize("attempts", [1, 10, 11])
def test_a_client_that_has_taken_it_is_done(status: int, attempts: int) -> None:
    assert judge(Sent(status), attempts, created_at=0) == Done()


def test_a_client_that_refuses_it_is_not_asked_again() -> None:
    assert judge(Sent(400)) == GivenUp()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(Sent(status), id=str(status))
        for status in (100, 199, 300, 302, 399, 401, 403, 404, 429, 500, 503)
    ]
    + [pytest.param(Sent(None, "timeout"), id="nothing")],
)
def test_everything_else_is_tried_again_up_to_a_number(sent: Sent) -> None:
    assert judge(sent) == Later(NOW + 10)
    assert judge(sent, 9) == Later(NOW + 2560)
    assert judge(sent, 10) == GivenUp()


def test_everything_else_is_tried_again_up_to_an_age() -> None:
    assert judge(Sent(500), created_at=NOW - 86_399) == Later(NOW + 10)
    assert judge(Sent(500), created_at=NOW - 86_400) == GivenUp()


@pytest.mark.parametrize(
    ("attempts", "chance", "seconds"),
    [(1, 0, 5), (1, 0.5, 8), (1, 1, 10), (2, 1, 20), (3, 0, 20), (9, 1, 2560), (10, 1, 3600), (30, 0, 1800)],
)
def test_each_pause_is_twice_as_long_and_none_is_like_another(
    attempts: int, chance: float, seconds: int
) -> None:
    assert pause_seconds(attempts, chance) == seconds


def test_what_is_said_of_an_attempt() -> None:
    assert str(Sent(503)) == "status 503"
    assert str(Sent(302, "redirect")) == "redirect"


def test_a_notice_has_one_jti_and_no_other_has_it() -> None:
    made = jti_of("default", "sid-1", "app")
    assert made == jti_of("default", "sid-1", "app")
    # Written down: it has to be the same after an update in the middle of the attempts.
    assert made == "m1OmLYW4uTaGr8rV8eC1KpHTJ-pMKJ7npGSH9IZDCmI"
    others = {
        jti_of("two", "sid-1", "app"),
        jti_of("default", "sid-2", "app"),
        jti_of("default", "sid-1", "ap"),
    }
    assert len({made, *others}) == 4
