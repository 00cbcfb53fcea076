"""What a configuration is refused for."""

from oidcgate.settings import Problem, SettingsError


def told(error: SettingsError) -> tuple[Problem, ...]:
    """The problems, each of which says what is wrong and what to do."""
    assert all(problem.key and problem.message and problem.fix for problem in error.problems)
    return error.problems
