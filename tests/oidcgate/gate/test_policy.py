"""Which rule a request falls under."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.gate.policy import KNOWN_USERS_ONLY, Access, Policy, PolicyError, Rule, rule_problems


def rule(path: str, allow: Access = Access.ANYONE, *methods: str) -> Rule:
    return Rule(path, allow, methods)


@pytest.mark.row("G-14")
@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a", "/A", False),
        ("/a", "/ab", False),
        ("/a", "/a/b", False),
        ("/a/", "/a/", True),
        ("/a/", "/a", False),
        ("/a/**", "/a", True),
        ("/a/**", "/a/", True),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/ab", False),
        ("/a/**", "/b/a", False),
        ("/**", "/", True),
        ("/**", "/x/y", True),
        # No canonical path has a line break; none may leave its rule by one either.
        ("/a/**", "/a/b\nc", True),
        ("/", "/", True),
        ("/", "/x", False),
        ("/*", "/x", True),
        ("/*", "/", False),
        ("/*", "/x/y", False),
        ("/u/*/photo", "/u/1/photo", True),
        ("/u/*/photo", "/u/1/2/photo", False),
        ("/u/*/photo", "/u//photo", False),
        ("/u/*/**", "/u/1", True),
        ("/u/*/**", "/u", False),
        ("/a.b", "/axb", False),
        ("/a+(b)", "/a+(b)", True),
        ("/ž/**", "/ž/x", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    chosen = rule(pattern)
    assert (Policy([chosen]).rule_for("GET", path) is chosen) is matches


@pytest.mark.row("G-14", "G-30")
def test_without_a_matching_rule_only_known_users_pass() -> None:
    assert Policy().rule_for("GET", "/") is KNOWN_USERS_ONLY
    assert KNOWN_USERS_ONLY.allow is Access.KNOWN
    assert Policy([rule("/public/**")]).rule_for("GET", "/private") is KNOWN_USERS_ONLY


@pytest.mark.row("G-14")
def test_the_first_match_wins() -> None:
    narrow, wide = rule("/a/b", Access.KNOWN), rule("/a/**")
    assert Policy([narrow, wide]).rule_for("GET", "/a/b") is narrow
    assert Policy([wide, narrow]).rule_for("GET", "/a/b") is wide


@pytest.mark.row("G-14")
def test_methods_choose_between_rules_and_get_includes_head() -> None:
    read, write = rule("/api/**", Access.ANYONE, "GET"), rule("/api/**", Access.SIGNED_IN, "POST", "PUT")
    policy = Policy([read, write])
    assert policy.rule_for("GET", "/api/x") is read
    assert policy.rule_for("HEAD", "/api/x") is read
    assert policy.rule_for("POST", "/api/x") is write
    assert policy.rule_for("DELETE", "/api/x") is KNOWN_USERS_ONLY
    # A rule for HEAD alone says nothing of GET.
    assert Policy([rule("/**", Access.ANYONE, "HEAD")]).rule_for("GET", "/") is KNOWN_USERS_ONLY


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    ("path", "clear"),
    [
        pytest.param("/public/a;v=1", True, id="same rule either way"),
        pytest.param("/public;v=1/a", False, id="public only when the parameters are cut off"),
        pytest.param("/admin;x/a", False, id="around a stricter rule"),
        pytest.param("/other;x", True, id="no rule either way"),
        pytest.param("/deep;v=1/b", False, id="cut off in each segment"),
        pytest.param("/form/a;v=1", True, id="same rule for the method either way"),
    ],
)
def test_parameters_that_change_the_rule_make_it_nobodys(path: str, clear: bool) -> None:
    policy = Policy(
        [
            rule("/public/**"),
            rule("/deep/b"),
            rule("/form/**", Access.ANYONE, "GET"),
            rule("/admin/**", Access.KNOWN),
            rule("/*/a", Access.SIGNED_IN),
        ]
    )
    assert (policy.rule_for("GET", path) is not None) is clear


@given(st.lists(st.sampled_from(["a", "b", "ab", "A", "a;x"]), min_size=1, max_size=4).map("/".join))
def test_the_memory_of_answers_changes_none_and_long_paths_are_judged_alike(path: str) -> None:
    rules = [rule("/a/**"), rule("/*/b", Access.SIGNED_IN), rule("/ab", Access.KNOWN)]
    policy, fresh = Policy(rules, remembered=2), Policy(rules)
    for _ in range(2):
        assert policy.rule_for("GET", f"/{path}") is fresh.rule_for("GET", f"/{path}")
    tail = "/x" * 200
    deep = Policy([rule("/a/**")])
    assert (deep.rule_for("GET", f"/{path}{tail}") or KNOWN_USERS_ONLY).path in ("/a/**", "/**")


def test_a_long_path_falls_under_its_rule() -> None:
    write, read = rule("/a/**", Access.KNOWN, "POST"), rule("/a/**", Access.ANYONE, "GET")
    policy = Policy([write, read])
    assert policy.rule_for("GET", "/a" + "/x" * 300) is read
    assert policy.rule_for("POST", "/a" + "/x" * 300) is write


def test_our_origins_are_kept_as_given() -> None:
    assert Policy(origins=["https://a.example", "https://b.example"]).origins == {
        "https://a.example",
        "https://b.example",
    }


def test_the_memory_of_answers_is_bounded() -> None:
    policy = Policy([rule("/a/**")], remembered=2)
    for number in range(5):
        policy.rule_for("GET", f"/a/{number}")
    assert policy._remembered.cache_info().currsize == 2


@pytest.mark.row("G-30")
@pytest.mark.parametrize(
    ("path", "allow", "methods", "keys"),
    [
        pytest.param("", "known", (), ["path"], id="empty"),
        pytest.param("public/**", "known", (), ["path"], id="relative"),
        pytest.param("/a**", "known", (), ["path"], id="stars inside a segment"),
        pytest.param("/**/a", "known", (), ["path"], id="double star not last"),
        pytest.param("/a/*.css", "known", (), ["path"], id="star beside text"),
        pytest.param("/a//b", "known", (), ["path"], id="empty segment"),
        pytest.param("//**", "known", (), ["path"], id="only slashes"),
        pytest.param("/a/../b", "known", (), ["path"], id="dots"),
        pytest.param("/a/..", "known", (), ["path"], id="dots, last"),
        pytest.param("/a%2fb", "known", (), ["path"], id="escape"),
        pytest.param("/a?b", "known", (), ["path"], id="query"),
        pytest.param("/a#b", "known", (), ["path"], id="fragment"),
        pytest.param("/a;b", "known", (), ["path"], id="parameters"),
        pytest.param("/a\\b", "known", (), ["path"], id="backslash"),
        pytest.param("/a", "", (), ["allow"], id="no word"),
        pytest.param("/a", "everyone", (), ["allow"], id="unknown word"),
        pytest.param("/a", "groups:admin", (), ["allow"], id="expression"),
        pytest.param("/a", "known", ("get",), ["methods"], id="method in lower case"),
        pytest.param("x", "x", ("x", "y"), ["path", "allow", "methods", "methods"], id="everything at once"),
    ],
)
def test_a_rule_that_is_not_understood_is_a_problem(
    path: str, allow: str, methods: tuple[str, ...], keys: list[str]
) -> None:
    problems = rule_problems("rules[2]", path, allow, methods)
    assert [problem.key for problem in problems] == [f"rules[2].{key}" for key in keys]
    assert all(problem.fix for problem in problems)
    assert all(problem.message not in ("", None, problem.fix) for problem in problems)
    # What was given is told back.
    told = {"path": {path}, "allow": {allow}, "methods": set(methods)}
    assert all(problem.value in told[problem.key.removeprefix("rules[2].")] for problem in problems)


@pytest.mark.parametrize(
    ("method", "understood"),
    [
        ("GET", True),
        ("M", True),
        ("M-SEARCH", True),
        ("VERSION_2", True),
        ("X09", True),
        ("X" * 32, True),
        ("X" * 33, False),
        ("", False),
        ("0X", False),
        ("[X", False),
        ("X[", False),
        ("GÉT", False),
        ("GET ", False),
    ],
)
def test_methods_are_words_in_upper_case(method: str, understood: bool) -> None:
    assert (rule_problems("rules[0]", "/", "known", (method,)) == []) is understood


def test_who_writes_an_unknown_word_is_told_the_known_ones() -> None:
    (problem,) = rule_problems("rules[0]", "/", "everyone")
    assert problem.message == "is not one of 'anyone', 'signed-in', 'known'"


@pytest.mark.row("G-30")
def test_a_policy_with_a_bad_rule_does_not_come_into_being() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy([rule("/a"), rule("b"), Rule("/c", Access.ANYONE, ("post",))])
    assert [problem.key for problem in caught.value.problems] == ["rules[1].path", "rules[2].methods"]
    assert str(caught.value) == "\n".join(str(problem) for problem in caught.value.problems)


def test_a_policy_knows_whether_it_lets_in_people_the_directory_does_not_know() -> None:
    assert Policy([rule("/a", Access.SIGNED_IN)]).admits_unknown
    assert not Policy([rule("/a"), rule("/b", Access.KNOWN)]).admits_unknown
