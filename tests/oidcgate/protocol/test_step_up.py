"""The challenge by which a resource asks for a fresher or stronger authentication."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.step_up import StepUpChallenge, step_up_challenge

ERROR = 'error="insufficient_user_authentication"'


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        # RFC 9470 3, figures 1 and 2
        pytest.param(
            f'Bearer {ERROR}, error_description="A different authentication level is required", '
            'acr_values="myACR"',
            StepUpChallenge(None, ("myACR",)),
            id="the-first-of-the-rfc",
        ),
        pytest.param(
            f'Bearer {ERROR}, error_description="More recent authentication is required", max_age="5"',
            StepUpChallenge(5, ()),
            id="the-second-of-the-rfc",
        ),
        pytest.param(f"Bearer {ERROR}, max_age=5", StepUpChallenge(5, ()), id="token"),
        pytest.param(f'bearer {ERROR},MAX_AGE="0"', StepUpChallenge(0, ()), id="case"),
        pytest.param(f'Bearer realm="a, b=c", {ERROR}, max_age="5"', StepUpChallenge(5, ()), id="comma"),
        pytest.param(
            f'Bearer realm="\\"", {ERROR}, acr_values="a\\b"', StepUpChallenge(None, ("ab",)), id="pair"
        ),
        pytest.param(f'Basic realm="x", Bearer {ERROR}, max_age=5', StepUpChallenge(5, ()), id="second"),
        pytest.param(f'Bearer {ERROR}, max_age=5, Basic realm="x"', StepUpChallenge(5, ()), id="first"),
        pytest.param(f"Negotiate, Bearer {ERROR}, max_age=5", StepUpChallenge(5, ()), id="behind-a-bare-one"),
        pytest.param(
            f'Bearer error="invalid_token", Bearer {ERROR}, max_age=5',
            StepUpChallenge(5, ()),
            id="twice",
        ),
        pytest.param(
            f'Bearer {ERROR}, acr_values="a b", max_age="60"', StepUpChallenge(60, ("a", "b")), id="both"
        ),
        pytest.param(
            f'Bearer {ERROR}, acr_values="{" ".join("abcdefghijklm")}"',
            StepUpChallenge(None, tuple("abcdefghij")),
            id="many",
        ),
        pytest.param("", None, id="empty"),
        pytest.param("Bearer", None, id="bare"),
        pytest.param(f"Bearer {ERROR}", None, id="asks-for-nothing"),
        pytest.param(f'Bearer {ERROR}, acr_values=" "', None, id="asks-for-blanks"),
        pytest.param('Bearer error="invalid_token", max_age="5"', None, id="another-error"),
        pytest.param('Bearer max_age="5"', None, id="no-error"),
        pytest.param(f"Basic {ERROR}, max_age=5", None, id="another-scheme"),
        pytest.param(f"DPoP {ERROR}, max_age=5", None, id="dpop"),
        pytest.param(f'Bearer {ERROR}, max_age="-5"', None, id="negative"),
        pytest.param(f'Bearer {ERROR}, max_age="5s"', None, id="unit"),
        pytest.param(f'Bearer {ERROR}, max_age="{"9" * 10}"', None, id="long"),
        pytest.param(f'Bearer {ERROR}, max_age="٣"', None, id="other-digits"),
        pytest.param(f"Bearer {ERROR}, max_age=5{' ' * 4096}", None, id="huge"),
        pytest.param(f'Bearer {ERROR}, max_age="5', None, id="open-quote"),
        pytest.param(f"{ERROR}, max_age=5", None, id="no-scheme"),
    ],
)
def test_what_a_field_asks_for(value: str, asked: StepUpChallenge | None) -> None:
    assert step_up_challenge([value]) == asked


def test_what_cannot_be_read_hides_nothing_else() -> None:
    good = f"Bearer {ERROR}, max_age=5"
    asked = StepUpChallenge(5, ())
    assert step_up_challenge([good + " " * (4096 - len(good))]) == asked
    assert step_up_challenge(["x" * 4097, good]) == asked
    assert step_up_challenge([f"Bearer {ERROR}, max_age=x, {good}"]) == asked
    assert step_up_challenge([f'{good}, "']) == asked
    nine = step_up_challenge([f"Bearer {ERROR}, max_age=999999999"])
    assert nine == StepUpChallenge(999_999_999, ())


def test_one_of_several_fields_is_enough() -> None:
    assert step_up_challenge(['Basic realm="x"', f"Bearer {ERROR}, max_age=5"]) == StepUpChallenge(5, ())


PIECES = st.sampled_from(["Bearer ", ERROR, ", ", "max_age", "=", '"', "5", " ", "\\", "Basic", ","])


@given(st.text(max_size=60) | st.lists(PIECES, max_size=20).map("".join))
def test_whatever_it_says_it_is_read(value: str) -> None:
    asked = step_up_challenge([value])
    assert asked is None or asked.acr_values or asked.max_age_seconds is not None
