"""The one decision, as a table."""

import pytest

from oidcgate.gate.decision import (
    Allow,
    Answer,
    Decision,
    Preflight,
    Reason,
    Refuse,
    StartLogin,
    StepUp,
    Unavailable,
    decide,
    silent_login,
)
from oidcgate.gate.policy import Access, Policy, Rule
from oidcgate.gate.session import (
    Absent,
    AbsentReason,
    Found,
    Person,
    SessionLimits,
    SessionRecord,
    UnavailableReason,
    identity_of,
)
from oidcgate.gate.session import Unavailable as SessionUnavailable
from oidcgate.web.facts import Facts, RequestKind
from tests.oidcgate.gate.parts import NOW, record

POLICY = Policy(
    [
        Rule("/public/**", Access.ANYONE),
        Rule("/hello", Access.SIGNED_IN),
        Rule("/money/**", Access.KNOWN, max_age_seconds=300),
        Rule("/vault", Access.SIGNED_IN, acr_values=("gold", "platinum")),
        Rule("/form", Access.ANYONE, methods=("GET",)),
        Rule("/forms/**", Access.ANYONE, methods=("GET",)),
        Rule("/ever", Access.KNOWN, max_age_seconds=2 * NOW),
        Rule("/partner", Access.KNOWN, issuer="https://partner.example"),
    ],
    origins=("https://app.example.com", "https://other.example.com"),
)


def facts(
    path: str = "/a",
    kind: RequestKind = RequestKind.NAVIGATION,
    method: str = "GET",
    query: str = "",
    origin: str = "",
) -> Facts:
    return Facts(method, path, query, kind, "app.example.com", origin, "")


def found(known: bool = True, session: SessionRecord | None = None, barred: bool = False) -> Found:
    session = session or record(acr="silver", auth_time=NOW - 100)
    looked_up = Found(session, "cookie", SessionLimits())
    identity = identity_of(session, session.user_name, None, known)
    looked_up.person = Person(identity, session.user_name, known, NOW, 0, NOW + 60, barred)
    return looked_up


ABSENT = Absent(AbsentReason.EXPIRED)
OUTAGE = SessionUnavailable(UnavailableReason.STATE_STORE)
SCRIPT, PREFLIGHT, UPGRADE = RequestKind.SCRIPT, RequestKind.PREFLIGHT, RequestKind.UPGRADE
EXPIRED = AbsentReason.EXPIRED


@pytest.mark.row("G-14", "G-09")
@pytest.mark.parametrize(
    ("request_facts", "session", "decision"),
    [
        # public
        pytest.param(facts("/public/x"), ABSENT, Allow(Reason.PUBLIC, False), id="public, absent"),
        pytest.param(facts("/public/x"), found(), Allow(Reason.PUBLIC, True), id="public, known"),
        pytest.param(facts("/public/x"), found(False), Allow(Reason.PUBLIC, False), id="public, unknown"),
        pytest.param(facts("/public/x"), OUTAGE, Allow(Reason.PUBLIC, False), id="public, outage"),
        pytest.param(
            facts("/public/x", PREFLIGHT), ABSENT, Allow(Reason.PUBLIC, False), id="public, preflight"
        ),
        pytest.param(
            facts("/public/x", method="POST"), ABSENT, Allow(Reason.PUBLIC, False), id="public, POST"
        ),
        # known users only
        pytest.param(facts(), found(), Allow(Reason.KNOWN_USER, True), id="known"),
        pytest.param(facts(), found(False), Refuse(Reason.UNKNOWN_USER, 403, "Alice"), id="unknown"),
        pytest.param(facts(), ABSENT, StartLogin(EXPIRED, "/a"), id="absent"),
        pytest.param(facts(method="HEAD"), ABSENT, StartLogin(EXPIRED, "/a"), id="absent, HEAD"),
        pytest.param(facts(method="POST"), ABSENT, Refuse(EXPIRED, 401), id="absent, POST"),
        pytest.param(facts(kind=SCRIPT), ABSENT, Refuse(EXPIRED, 401), id="absent, script"),
        pytest.param(facts(kind=UPGRADE), ABSENT, Refuse(EXPIRED, 401), id="absent, upgrade"),
        pytest.param(facts(kind=PREFLIGHT), ABSENT, Preflight(), id="absent, preflight"),
        pytest.param(facts(kind=PREFLIGHT), found(), Preflight(), id="known, preflight"),
        pytest.param(facts(kind=PREFLIGHT), OUTAGE, Preflight(), id="outage, preflight"),
        pytest.param(facts(), OUTAGE, Unavailable(UnavailableReason.STATE_STORE), id="outage"),
        pytest.param(
            facts(kind=SCRIPT), OUTAGE, Unavailable(UnavailableReason.STATE_STORE), id="outage, script"
        ),
        pytest.param(facts(kind=SCRIPT), found(), Allow(Reason.KNOWN_USER, True), id="known, script"),
        pytest.param(facts(kind=UPGRADE), found(), Allow(Reason.KNOWN_USER, True), id="known, upgrade"),
        # everybody signed in
        pytest.param(facts("/hello"), found(False), Allow(Reason.SIGNED_IN, True), id="signed in, unknown"),
        pytest.param(facts("/hello"), found(), Allow(Reason.SIGNED_IN, True), id="signed in, known"),
        pytest.param(
            facts("/hello"),
            found(False, barred=True),
            Refuse(Reason.UNKNOWN_USER, 403, "Alice"),
            id="signed in, switched off",
        ),
        pytest.param(facts("/hello"), ABSENT, StartLogin(EXPIRED, "/hello"), id="signed in, absent"),
        # recent and strong
        pytest.param(facts("/money"), found(), Allow(Reason.KNOWN_USER, True), id="recent enough"),
        pytest.param(
            facts("/money", query="to=bob"),
            found(session=record(auth_time=NOW - 301)),
            StepUp(Reason.AUTHENTICATION_TOO_OLD, "/money?to=bob", 300, ()),
            id="too long ago",
        ),
        pytest.param(
            facts("/money"),
            found(session=record(auth_time=NOW - 300)),
            Allow(Reason.KNOWN_USER, True),
            id="just recent enough",
        ),
        pytest.param(
            facts("/money"),
            found(session=record(auth_time=None)),
            StepUp(Reason.AUTHENTICATION_TOO_OLD, "/money", 300, ()),
            id="nobody said when",
        ),
        pytest.param(
            facts("/ever"),
            found(session=record(auth_time=None)),
            StepUp(Reason.AUTHENTICATION_TOO_OLD, "/ever", 2 * NOW, ()),
            id="nobody said when, whatever the age",
        ),
        pytest.param(
            facts("/money", SCRIPT),
            found(session=record(auth_time=0)),
            Refuse(Reason.AUTHENTICATION_TOO_OLD, 401),
            id="too long ago, script",
        ),
        pytest.param(
            facts("/money"),
            found(False),
            Refuse(Reason.UNKNOWN_USER, 403, "Alice"),
            id="unknown before too old",
        ),
        pytest.param(
            facts("/vault"),
            found(),
            StepUp(Reason.AUTHENTICATION_CONTEXT, "/vault", None, ("gold", "platinum")),
            id="too weak",
        ),
        pytest.param(
            facts("/vault"),
            found(session=record(acr="gold")),
            Allow(Reason.SIGNED_IN, True),
            id="strong enough",
        ),
        # at the right provider
        pytest.param(
            facts("/partner", query="x=1"),
            found(),
            StepUp(Reason.OTHER_PROVIDER, "/partner?x=1", None, ()),
            id="another provider",
        ),
        pytest.param(
            facts("/partner", SCRIPT), found(), Refuse(Reason.OTHER_PROVIDER, 401), id="another, script"
        ),
        pytest.param(
            facts("/partner"),
            found(session=record(iss="https://partner.example")),
            Allow(Reason.KNOWN_USER, True),
            id="the right provider",
        ),
        pytest.param(
            facts("/partner"),
            found(session=record(iss="https://partner.example/")),
            StepUp(Reason.OTHER_PROVIDER, "/partner", None, ()),
            id="nearly the right provider",
        ),
        # by method
        pytest.param(facts("/form"), ABSENT, Allow(Reason.PUBLIC, False), id="public to read"),
        pytest.param(facts("/form", method="POST"), ABSENT, Refuse(EXPIRED, 401), id="not public to write"),
        # others
        pytest.param(facts("/.oidcgate/login"), ABSENT, Answer(), id="route of the gate"),
        pytest.param(facts("/.oidcgate/x", PREFLIGHT), OUTAGE, Answer(), id="any route, any kind"),
        pytest.param(facts("/.oidcgate"), found(), Answer(), id="root of the routes"),
        pytest.param(facts("/.oidcgatex"), ABSENT, StartLogin(EXPIRED, "/.oidcgatex"), id="not a route"),
        pytest.param(facts("/public;x/y"), found(), Refuse(Reason.AMBIGUOUS_PATH, 400), id="parameters"),
    ],
)
def test_decisions(
    request_facts: Facts, session: Found | Absent | SessionUnavailable, decision: Decision
) -> None:
    assert decide(request_facts, session, POLICY, NOW) == decision


OWN, FOREIGN = "https://app.example.com", "https://evil.example"
KNOWN, REFUSED = Allow(Reason.KNOWN_USER, True), Refuse(Reason.FOREIGN_ORIGIN, 403)


@pytest.mark.row("G-26")
@pytest.mark.parametrize(
    ("request_facts", "session", "decision"),
    [
        pytest.param(facts(kind=UPGRADE, origin=OWN), found(), KNOWN, id="own"),
        pytest.param(facts(kind=UPGRADE, origin="https://other.example.com"), found(), KNOWN, id="own too"),
        pytest.param(facts(kind=UPGRADE), found(), KNOWN, id="no browser"),
        pytest.param(facts(kind=UPGRADE, origin=FOREIGN), found(), REFUSED, id="foreign"),
        pytest.param(facts(kind=UPGRADE, origin="null"), found(), REFUSED, id="opaque"),
        pytest.param(facts(kind=UPGRADE, origin="http://app.example.com"), found(), REFUSED, id="scheme"),
        pytest.param(facts(kind=UPGRADE, origin="https://app.example.com:8443"), found(), REFUSED, id="port"),
        pytest.param(facts(kind=UPGRADE, origin=OWN + ".evil.example"), found(), REFUSED, id="longer"),
        pytest.param(facts(kind=UPGRADE, origin=f"{OWN},{FOREIGN}"), found(), REFUSED, id="repeated"),
        pytest.param(facts(kind=UPGRADE, origin=FOREIGN), ABSENT, REFUSED, id="foreign, nobody"),
        pytest.param(facts(kind=UPGRADE, origin=FOREIGN), OUTAGE, REFUSED, id="foreign, outage"),
        pytest.param(facts(kind=UPGRADE, origin=OWN), ABSENT, Refuse(EXPIRED, 401), id="own, nobody"),
        # What is no WebSocket is under the browser's own rules, and its answer is not to be read from abroad.
        pytest.param(facts(kind=SCRIPT, origin=FOREIGN), found(), KNOWN, id="script"),
        pytest.param(facts(origin=FOREIGN, method="POST"), found(), KNOWN, id="form"),
        # Public is public to pages of others as well, but not in the name of whoever looks at them.
        pytest.param(
            facts("/public/x", UPGRADE, origin=OWN), found(), Allow(Reason.PUBLIC, True), id="public, own"
        ),
        pytest.param(
            facts("/public/x", UPGRADE, origin=FOREIGN),
            found(),
            Allow(Reason.PUBLIC, False),
            id="public, foreign",
        ),
        pytest.param(
            facts("/public/x", SCRIPT, origin=FOREIGN),
            found(),
            Allow(Reason.PUBLIC, True),
            id="public, script",
        ),
        pytest.param(facts("/hello", UPGRADE, origin=FOREIGN), found(False), REFUSED, id="signed in"),
        pytest.param(facts("/.oidcgate/x", UPGRADE, origin=FOREIGN), found(), Answer(), id="our route"),
    ],
)
def test_a_websocket_is_opened_in_the_name_of_whoever_looks_at_a_page_of_ours_only(
    request_facts: Facts, session: Found | Absent | SessionUnavailable, decision: Decision
) -> None:
    assert decide(request_facts, session, POLICY, NOW) == decision


@pytest.mark.row("G-14")
def test_a_session_whose_person_nobody_asked_about_is_nobodys() -> None:
    fresh = Found(record(), "cookie", SessionLimits())
    assert decide(facts(), fresh, Policy(), NOW) == Refuse(Reason.UNKNOWN_USER, 403, "Alice")


@pytest.mark.row("G-22")
@pytest.mark.parametrize(
    ("path", "query", "return_path"),
    [
        ("/a", "x=1&y=%2F", "/a?x=1&y=%2F"),
        ("/ž b", "", "/%C5%BE%20b"),
        ("/a", "filter[x]=1|2", "/a?filter%5Bx%5D=1%7C2"),
        ("/a", "x=\\\\evil.example", "/a?x=%5C%5Cevil.example"),
        ("/a", "x=\xc5\xbe", "/a?x=%C5%BE"),
        ("/a", "x" * 3000, "/a"),
        ("/" + "a" * 3000, "", "/"),
        ("/100%", "", "/100%25"),
        ("/a", "b=-._~!$&'()*+,;=:@/?", "/a?b=-._~!$&'()*+,;=:@/?"),
    ],
)
def test_where_a_login_leads_back_to(path: str, query: str, return_path: str) -> None:
    decision = decide(facts(path, query=query), ABSENT, POLICY, NOW)
    assert decision == StartLogin(EXPIRED, return_path)


@pytest.mark.row("G-26")
@pytest.mark.parametrize(
    ("site", "passes"), [("cross-site", False), ("same-site", False), ("same-origin", True)]
)
def test_a_websocket_that_hides_its_origin_is_judged_by_its_site(site: str, passes: bool) -> None:
    asked = facts(kind=RequestKind.UPGRADE)._replace(fetch_site=site)
    assert isinstance(decide(asked, found(), POLICY, NOW), Allow) is passes


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    ("path", "other", "passes"),
    [
        pytest.param("/public/a/b", "/public/a%2Fb", True, id="same-rule"),
        pytest.param("/public/a", "/public%2Fa", False, id="public-to-one-only"),
        pytest.param("/forms/a/b", "/forms/a%2Fb", True, id="same-rule-for-this-method"),
        pytest.param("/a/b", "/a%2Fb", False, id="no-rule-either-way-but-nobody-there"),
    ],
)
def test_a_path_that_can_be_read_in_two_ways_passes_under_one_rule_only(
    path: str, other: str, passes: bool
) -> None:
    decision = decide(facts(path)._replace(other_path=other), Absent(AbsentReason.NO_COOKIE), POLICY, NOW)
    assert isinstance(decision, Allow) is passes
    if path == "/public/a":
        assert decision == Refuse(Reason.AMBIGUOUS_PATH, 400)


SILENTLY = StartLogin(Reason.WITHOUT_TOKENS, "/a?b=c", silent=True)


@pytest.mark.row("G-04")
@pytest.mark.parametrize(
    ("request_facts", "decision", "instead"),
    [
        pytest.param(facts(query="b=c"), Allow(Reason.KNOWN_USER, True), SILENTLY, id="a page"),
        pytest.param(facts(query="b=c"), Allow(Reason.PUBLIC, True), None, id="needs no session"),
        pytest.param(facts(query="b=c", kind=SCRIPT), Allow(Reason.KNOWN_USER, True), None, id="a script"),
        pytest.param(facts(query="b=c", method="POST"), Allow(Reason.KNOWN_USER, True), None, id="a form"),
        pytest.param(facts(query="b=c"), Refuse(Reason.UNKNOWN_USER, 403), None, id="refused"),
        pytest.param(facts(query="b=c"), Refuse(Reason.PUBLIC, 403), None, id="refused, whatever for"),
    ],
)
def test_what_becomes_of_a_request_whose_session_is_to_get_tokens_first(
    request_facts: Facts, decision: Decision, instead: StartLogin | None
) -> None:
    assert silent_login(request_facts, decision) == instead
