"""One suite per port and per mode; each implementation's tests subclass it."""

import pytest

pytest.register_assert_rewrite("tests.contracts.front")
