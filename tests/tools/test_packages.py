"""The Debian packages of the tests are installed, and none of them starts to serve."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.packages import NOT_STARTED, steps


def installing(policy: Path, program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["sh", "-c", NOT_STARTED, "sh", policy, "sh", "-c", program, "sh", policy],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("status", [0, 100])
def test_while_packages_are_installed_nothing_may_be_started(tmp_path: Path, status: int) -> None:
    policy = tmp_path / "policy-rc.d"
    process = installing(policy, f'"$1" memcached start; echo $?; exit {status}')
    assert process.communicate(timeout=30)[0] == "101\n", "the answer that forbids it"
    assert process.returncode == status
    assert not policy.exists()


def test_a_policy_that_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    policy.chmod(0o755)
    assert installing(policy, '"$1"; echo $?').communicate(timeout=30)[0] == "104\n"
    assert policy.exists()


def test_an_installation_that_is_ended_leaves_no_policy_behind(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    process = installing(policy, "echo begun; read line")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    assert policy.exists()
    process.terminate()
    process.stdin.close()
    process.wait(30)
    process.stdout.close()
    assert not policy.exists()


def test_packages_are_named_once_and_in_one_command() -> None:
    *_, install, disable = steps(["memcached", "openssl"])
    assert install[-2:] == ["memcached", "openssl"]
    assert os.path.basename(install[4]) == "policy-rc.d"
    assert "memcached" in disable[-1]
    for daemon in ("nginx", "slapd"):
        assert daemon in list(steps([daemon]))[-1][-1]
    assert [step[0] for step in steps(["openssl"])] == ["apt-get", "sh"]
