"""Claims become context attributes: `oidcgate.gate.context`, and what of its settings is refused."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.gate.config import GateConfig, config_from_mapping
from oidcgate.gate.context import (
    Context,
    ContextRules,
    Origin,
    Outcome,
    Way,
    merged_claims,
    methods_of,
)
from oidcgate.gate.context_settings import STANDARD, schema_of
from oidcgate.gate.templates import TEMPLATES
from oidcgate.settings import SettingsError
from tests.oidcgate.gate.parts import ISSUER, PUBLIC_URL, SECRET

STANDARD_CLAIMS: Mapping[str, Any] = {
    "sub": "248289761001",
    "name": "Jane Doe",
    "given_name": "Jane",
    "family_name": "Doe",
    "middle_name": "M.",
    "nickname": "JD",
    "preferred_username": "j.doe",
    "profile": "https://example.com/jane",
    "picture": "https://example.com/jane.png",
    "website": "https://jane.example",
    "email": "jane@example.com",
    "email_verified": True,
    "gender": "female",
    "birthdate": "0000-10-31",
    "zoneinfo": "Europe/Madrid",
    "locale": "es-ES",
    "phone_number": "+34 600 000 000",
    "phone_number_verified": False,
    "address": {"country": "ES"},
    "updated_at": 1_800_000_000,
}


def configured(context: Any = (), **provider: Any) -> GateConfig:
    """A configuration with this provider; raises what is wrong with it."""
    return config_from_mapping(
        {
            "public_url": PUBLIC_URL,
            "provider": {"issuer": ISSUER, "client_id": "app", "client_secret": "x", **provider},
            "users": {"source": "any"},
            "session": {"secret": SECRET},
            "context": list(context),
        }
    )


def rules(context: Any = (), **provider: Any) -> ContextRules:
    config = configured(context, **provider)
    (settings,) = config.identity_providers
    return ContextRules(settings, schema_of(config.context, groups=settings.fetch_groups))


def context_of(
    made: ContextRules, claims: Mapping[str, Any], userinfo: Mapping[str, Any] = MappingProxyType({})
) -> Context:
    return made.apply(merged_claims(claims, userinfo), claims)


def problems(context: Any = (), **provider: Any) -> list[str]:
    try:
        configured(context, **provider)
    except SettingsError as error:
        return [f"{problem.key}: {problem.message}; {problem.fix}" for problem in error.problems]
    return []


DEPARTMENT = {"claim": "department", "display_name": "Department"}


class TestMerging:
    @pytest.mark.row("A-10")
    def test_userinfo_adds_and_the_signed_token_wins(self) -> None:
        token = {"sub": "s", "email": "signed@example.com", "name": "", "nickname": None}
        userinfo = {
            "sub": "s",
            "email": "other@example.com",
            "name": "Jane",
            "nickname": "JD",
            "locale": "es",
        }
        assert merged_claims(token, userinfo) == {
            "sub": "s",
            "email": "signed@example.com",
            "name": "Jane",
            "nickname": "JD",
            "locale": "es",
        }

    @pytest.mark.row("A-10")
    def test_falsehood_and_zero_are_said(self) -> None:
        token = {"email_verified": False, "updated_at": 0, "groups": []}
        assert merged_claims(token, {"email_verified": True, "updated_at": 5, "groups": ["x"]}) == token

    @pytest.mark.row("A-10")
    @pytest.mark.parametrize(
        ("token", "userinfo", "address", "verified"),
        [
            pytest.param(("a", True), ("b", False), "a", True, id="the token's own yes"),
            pytest.param(("a", False), ("b", True), "a", False, id="the token's own no"),
            pytest.param(("a", None), ("b", True), "a", False, id="a yes about another"),
            pytest.param(("a", ""), ("b", False), "a", False, id="a no about another"),
            pytest.param(("a", None), ("b", None), "a", None, id="nothing about either"),
            pytest.param(("a", True), ("a", False), "a", False, id="a no about the same"),
            pytest.param(("a", True), ("A", False), "a", False, id="a no about the same in capitals"),
            pytest.param(("a", None), ("a", "false"), "a", "false", id="a no that is text"),
            pytest.param(("a", True), ("a", "true"), "a", True, id="two that say yes"),
            pytest.param(("a", "true"), ("a", None), "a", "true", id="a yes that is text"),
            pytest.param(("a", False), ("a", True), "a", False, id="a yes about the same, and a no"),
            pytest.param(("a", None), ("a", True), "a", True, id="a yes about the same"),
            pytest.param(("a", ""), ("a", True), "a", True, id="a yes beside an empty one"),
            pytest.param(("a", None), ("", True), "a", None, id="a yes about none"),
            pytest.param(("a", None), (None, True), "a", None, id="a yes about none at all"),
            pytest.param(("a", True), ("", False), "a", False, id="a no about none"),
            pytest.param(("a", True), (None, False), "a", False, id="a no about none at all"),
            pytest.param((None, True), ("a", False), "a", False, id="userinfo's own no"),
            pytest.param(("", True), ("a", False), "a", False, id="userinfo's own no beside an empty one"),
            pytest.param((None, False), ("a", True), "a", False, id="userinfo's yes and the token's no"),
            pytest.param((None, True), ("a", None), "a", None, id="the token's yes about none"),
            pytest.param(("", ""), ("a", ""), "a", None, id="nothing of it"),
        ],
    )
    def test_whether_an_address_is_verified_is_said_of_that_address(
        self, token: tuple[Any, Any], userinfo: tuple[Any, Any], address: str, verified: Any
    ) -> None:
        for pair in (("email", "email_verified"), ("phone_number", "phone_number_verified")):

            def said(by: tuple[Any, Any], pair: tuple[str, str] = pair) -> dict[str, Any]:
                return {name: value for name, value in zip(pair, by, strict=True) if value is not None}

            wanted = {pair[0]: address} | ({} if verified is None else {pair[1]: verified})
            assert merged_claims(said(token), said(userinfo)) == wanted

    @pytest.mark.row("A-10", "A-25")
    def test_the_trace_of_whether_it_is_verified_names_whose_word_counts(self) -> None:
        context = context_of(
            rules(), {"email_verified": True}, {"email": "a@b.example", "email_verified": False}
        )
        ways = {way.target: (way.origin, way.outcome) for way in context.ways}
        assert ways["email_verified"] == (Origin.USERINFO, Outcome.TAKEN)
        assert ways["email"] == (Origin.USERINFO, Outcome.UNVERIFIED)
        assert context.attributes == {"email_verified": False}

    @pytest.mark.row("A-10", "A-25")
    def test_the_trace_says_who_said_it(self) -> None:
        context = context_of(rules(), {"email": "a@b.example", "name": ""}, {"name": "Jane"})
        origins = {way.target: way.origin for way in context.ways if way.outcome is Outcome.TAKEN}
        assert origins == {"email": Origin.ID_TOKEN, "name": Origin.USERINFO}


class TestStandardAttributes:
    @pytest.mark.row("A-21")
    def test_all_of_them_are_there_without_a_mapping(self) -> None:
        assert context_of(rules(), STANDARD_CLAIMS).attributes == STANDARD_CLAIMS
        assert set(STANDARD) == set(STANDARD_CLAIMS)

    @pytest.mark.row("A-19", "A-21")
    def test_what_is_not_declared_goes_nowhere(self) -> None:
        claims = {"department": "Sales", "groups": ["a"], "aud": "app", "nonce": "n", "given_name": "Jane"}
        context = context_of(rules(), claims)
        assert context.attributes == {"given_name": "Jane"}
        assert not {"department", "groups", "nonce"} & {way.source for way in context.ways}

    @pytest.mark.row("A-19", "A-21")
    @pytest.mark.parametrize(
        ("claim", "value", "told"),
        [
            ("email", ["a@b.example"], "email: array of string where string is declared"),
            ("email_verified", "true", "email_verified: string where bool is declared"),
            ("updated_at", "2026-01-01", "updated_at: string where number is declared"),
            ("updated_at", True, "updated_at: bool where number is declared"),
            ("address", "Madrid", "address: string where object is declared"),
            ("name", {"first": "Jane"}, "name: object where string is declared"),
        ],
    )
    def test_one_of_another_type_is_told_and_left_out(self, claim: str, value: Any, told: str) -> None:
        context = context_of(rules(), {**STANDARD_CLAIMS, claim: value})
        assert claim not in context.attributes
        assert len(context.attributes) == len(STANDARD_CLAIMS) - 1
        assert context.faults() == (told,)

    @pytest.mark.parametrize("verified", [False, "false", "True", "yes", 0, 1, [], {}])
    def test_an_address_that_the_idp_has_not_verified_is_told_and_left_out(self, verified: Any) -> None:
        claims = {"email": "boss@example.com", "email_verified": verified, "name": "Jane"}
        mapped = {"mappings": [{"source": "email", "target": "mail"}], "attributes": [DEPARTMENT]}
        made = rules([{"name": "mail"}], **mapped)
        from_userinfo = context_of(made, {}, claims)
        for said in (context_of(made, claims), from_userinfo):
            assert "boss@example.com" not in said.attributes.values()
            assert said.faults()[0] == "email: the IdP has not verified it"
            assert {way.outcome for way in said.ways if way.source == "email"} == {Outcome.UNVERIFIED}
            (origin,) = {way.origin for way in said.ways if way.source == "email"}
            assert origin is (Origin.USERINFO if said is from_userinfo else Origin.ID_TOKEN)
        assert context_of(rules(), claims).attributes.get("email") is None
        trusting = context_of(rules(insecure_unverified_email=True), claims)
        assert trusting.attributes["email"] == "boss@example.com"

    @pytest.mark.parametrize("verified", [True, "true", None, ""])
    def test_one_that_is_verified_or_of_which_nothing_is_said_is_kept(self, verified: Any) -> None:
        claims = {"email": "jane@example.com", "email_verified": verified}
        assert context_of(rules(), claims).attributes["email"] == "jane@example.com"
        assert context_of(rules(), {"email": "jane@example.com"}).faults() == ()

    def test_the_word_of_either_is_about_the_address(self) -> None:
        context = context_of(rules(), {"email": "j@example.com"}, {"email_verified": False})
        assert "email" not in context.attributes
        context = context_of(
            rules(), {"email_verified": False}, {"email": "j@example.com", "email_verified": True}
        )
        assert "email" not in context.attributes

    def test_null_is_the_same_as_nothing(self) -> None:
        context = context_of(rules(), {"email": None})
        assert context.attributes == {}
        assert context.faults() == ()


class TestCustomAttributes:
    @pytest.mark.row("A-19", "A-23")
    def test_a_declared_one_of_a_declared_name_needs_no_mapping(self) -> None:
        made = rules([{"name": "department", "description": "Where they work"}], attributes=[DEPARTMENT])
        context = context_of(made, {}, {"department": "Sales"})
        assert context.attributes == {"department": "Sales"}
        assert (
            Way(Origin.USERINFO, "department", "Department", "department", "string", Outcome.TAKEN)
            in context.ways
        )

    @pytest.mark.row("A-19")
    def test_one_without_a_context_attribute_is_in_the_trace_alone(self) -> None:
        context = context_of(rules(attributes=[DEPARTMENT]), {"department": "Sales"})
        assert context.attributes == {}
        assert context.ways[-1] == Way(
            Origin.ID_TOKEN, "department", "Department", "", "string", Outcome.UNUSED
        )

    @pytest.mark.row("A-19")
    @pytest.mark.parametrize(
        ("declared", "good", "bad"),
        [
            ("string", "a", 5),
            ("number", 5, "5"),
            ("bool", False, 0),
            ("string_array", ["a"], "a"),
            ("number_array", [1], ["1"]),
            ("bool_array", [True], [1]),
            ("object", {"a": 1}, ["a"]),
        ],
    )
    def test_of_each_type(self, declared: str, good: Any, bad: Any) -> None:
        made = rules([{"name": "x", "type": declared}], attributes=[{"claim": "x", "type": declared}])
        assert context_of(made, {"x": good}).attributes == {"x": good}
        context = context_of(made, {"x": bad})
        assert context.attributes == {}
        assert len(context.faults()) == 1

    @pytest.mark.row("A-19")
    def test_a_report_shows_no_value(self) -> None:
        made = rules([{"name": "x", "type": "number"}], attributes=[{"claim": "x", "type": "number"}])
        context = context_of(made, {"x": "hunter2"})
        assert "hunter2" not in repr((context.faults(), context.ways))

    @pytest.mark.row("A-20", "A-22")
    def test_names_with_dots_and_members(self) -> None:
        made = rules(
            [{"name": "teams", "type": "string_array"}, {"name": "country"}],
            attributes=[
                {"claim": r"https://example\.com/groups", "type": "string_array"},
                {"claim": "address.country"},
            ],
            mappings=[
                {"source": r"https://example\.com/groups", "target": "teams"},
                {"source": "address.country", "target": "country"},
            ],
        )
        claims = {"https://example.com/groups": ["staff"], "address": {"country": "ES"}}
        assert context_of(made, claims).attributes == {
            "teams": ["staff"],
            "country": "ES",
            "address": {"country": "ES"},
        }


class TestMappings:
    @pytest.mark.row("A-22")
    def test_an_attribute_under_another_name(self) -> None:
        made = rules(
            [{"name": "unit"}],
            attributes=[DEPARTMENT],
            mappings=[{"source": "department", "target": "unit"}],
        )
        assert context_of(made, {"department": "Sales"}).attributes == {"unit": "Sales"}

    @pytest.mark.row("A-22")
    def test_over_a_standard_name_it_alone_holds(self) -> None:
        made = rules(mappings=[{"source": "nickname", "target": "name"}])
        assert context_of(made, {"name": "Jane", "nickname": "JD"}).attributes == {
            "name": "JD",
            "nickname": "JD",
        }
        assert context_of(made, {"name": "Jane"}).attributes == {}

    @pytest.mark.row("A-22")
    def test_of_several_the_first_that_has_a_value_holds(self) -> None:
        made = rules(
            attributes=[{"claim": "mail"}, {"claim": "upn"}],
            mappings=[{"source": "mail", "target": "email"}, {"source": "upn", "target": "email"}],
        )
        assert context_of(made, {"mail": "a@b.example", "upn": "c"}).attributes == {"email": "a@b.example"}
        assert context_of(made, {"upn": "c@d.example"}).attributes == {"email": "c@d.example"}
        assert context_of(made, {"mail": 5, "upn": "c@d.example"}).attributes == {"email": "c@d.example"}
        outcomes = [
            way.outcome
            for way in context_of(made, {"mail": "a@b.example", "upn": "c"}).ways
            if way.target == "email"
        ]
        assert outcomes == [Outcome.TAKEN, Outcome.UNUSED]

    @pytest.mark.row("A-22")
    @pytest.mark.parametrize(
        ("declared", "static", "value"),
        [
            ("string", "acme", "acme"),
            ("number", "7", 7),
            ("bool", "true", True),
            ("string_array", "a", ["a"]),
        ],
    )
    def test_a_static_one(self, declared: str, static: str, value: Any) -> None:
        made = rules(
            [{"name": "tenant", "type": declared}], mappings=[{"target": "tenant", "static": static}]
        )
        context = context_of(made, {"tenant": "another"})
        assert context.attributes == {"tenant": value}
        assert context.ways[-1].origin is Origin.STATIC

    @pytest.mark.row("A-22")
    def test_weak_decoding(self) -> None:
        made = rules(
            [{"name": "vip", "type": "bool"}, {"name": "roles", "type": "string_array"}],
            attributes=[{"claim": "is_vip"}, {"claim": "role"}],
            mappings=[
                {"source": "is_vip", "target": "vip", "allow_weak_decoding": True},
                {"source": "role", "target": "roles", "allow_weak_decoding": True},
            ],
        )
        assert context_of(made, {"is_vip": "1", "role": "admin"}).attributes == {
            "vip": True,
            "roles": ["admin"],
        }
        failed = context_of(made, {"is_vip": "perhaps"})
        assert failed.attributes == {}
        assert failed.faults() == ("is_vip: string where bool is declared",)


class TestGroups:
    @pytest.mark.row("A-11", "A-12")
    @pytest.mark.parametrize(
        ("claims", "userinfo", "groups"),
        [
            pytest.param({"groups": ["a", "b"]}, {}, ["a", "b"], id="in the ID token"),
            pytest.param({}, {"groups": ["a"]}, ["a"], id="in userinfo"),
            pytest.param({}, {}, [], id="absent"),
            pytest.param({"groups": None}, {}, [], id="null"),
            pytest.param({"groups": []}, {}, [], id="none"),
            pytest.param({"groups": "a"}, {}, ["a"], id="one as text"),
        ],
    )
    def test_fetched(self, claims: Any, userinfo: Any, groups: list[str]) -> None:
        context = context_of(rules(fetch_groups=True), claims, userinfo)
        assert context.attributes == {"groups": groups}
        assert context.faults() == ()

    @pytest.mark.row("A-11")
    @pytest.mark.parametrize("value", [{"a": 1}, [{"name": "a"}], ["a", None], [["a"]], [True]], ids=repr)
    def test_what_is_no_list_of_names_is_told_and_counts_as_none(self, value: Any) -> None:
        context = context_of(rules(fetch_groups=True), {"groups": value})
        assert context.attributes == {"groups": []}
        assert len(context.faults()) == 1

    @pytest.mark.row("A-11", "A-25")
    def test_absent_ones_are_told(self) -> None:
        absent = Way(Origin.NOBODY, "groups", "Groups", "groups", "string_array", Outcome.ABSENT)
        assert absent in context_of(rules(fetch_groups=True), {}).ways

    @pytest.mark.row("A-11")
    def test_not_fetched_there_are_none_anywhere(self) -> None:
        context = context_of(rules(), {"groups": ["a"]}, {"groups": ["a"]})
        assert context == context_of(rules(), {})

    @pytest.mark.row("A-11", "A-20")
    def test_from_a_claim_of_another_name(self) -> None:
        made = rules(
            fetch_groups=True,
            attributes=[{"claim": "memberOf", "type": "string_array"}],
            mappings=[{"source": "memberOf", "target": "groups"}],
        )
        assert context_of(made, {"memberOf": ["a"], "groups": ["b"]}).attributes == {"groups": ["a"]}
        assert context_of(made, {"groups": ["b"]}).attributes == {"groups": []}


def methods(acr: str | None, amr: tuple[str, ...], /, **provider: Any) -> tuple[str, ...]:
    (settings,) = configured(**provider).identity_providers
    return methods_of(settings.amr, settings.acr_methods, acr, amr)


ENTRUST: dict[str, Any] = {"issuer": None, "template": "entrust", "domain": "t.us.trustedauth.com"}
SAML = "urn:oasis:names:tc:SAML:2.0:ac:classes:"


class TestMethods:
    @pytest.mark.row("A-16")
    @pytest.mark.parametrize("came", [(), ("pwd",), ("pwd", "otp")], ids=str)
    def test_a_method_that_is_set_replaces_whatever_came(self, came: tuple[str, ...]) -> None:
        assert methods(None, came, amr=["mfa"]) == ("mfa",)

    @pytest.mark.row("A-17")
    @pytest.mark.parametrize(
        ("acr", "method"),
        [
            ("Password", "pwd"),
            ("TimeSyncToken", "swk"),
            ("MobileTwoFactorContract", "mfa"),
            ("SmartcardPKI", "sc"),
            ("unspecified", "pwd"),
        ],
    )
    def test_the_table_of_entrust(self, acr: str, method: str) -> None:
        urn = f"{SAML}{acr}"
        assert methods(urn, (), **ENTRUST) == (method,)
        assert methods(urn, ("face", "otp"), **ENTRUST) == (method,)
        # Only the whole value: the last word alone, or another prefix, is another value.
        for other in (acr, urn.lower(), f"{urn} ", urn + "x", None, ""):
            assert methods(other, ("face",), **ENTRUST) == ("face",)
        assert methods(urn, ("face",)) == ("face",), "of another provider it says nothing"

    @pytest.mark.row("A-17")
    def test_a_table_of_ones_own_stands_in_for_that_of_the_template(self) -> None:
        own = {**ENTRUST, "acr_to_amr": {"high": "otp"}}
        assert methods("high", (), **own) == ("otp",)
        assert methods(f"{SAML}Password", (), **own) == ()
        assert methods(f"{SAML}Password", ("face",), **{**ENTRUST, "acr_to_amr": {}}) == ("face",)

    @pytest.mark.row("A-16", "A-17")
    def test_the_method_that_is_set_wins_over_the_table(self) -> None:
        assert methods("high", ("pwd",), amr=["mfa"], acr_to_amr={"high": "otp"}) == ("mfa",)
        assert methods(f"{SAML}Password", (), **ENTRUST, amr=["mfa"]) == ("mfa",)


class TestEntrust:
    @pytest.mark.row("A-19")
    def test_attributes_of_ones_own_need_userinfo(self) -> None:
        told = "provider.attributes: are told by entrust at its userinfo endpoint alone, which is not asked"
        assert problems(**ENTRUST, attributes=[DEPARTMENT]) == [f"{told}; set get_user_info = true"]
        assert problems(**ENTRUST, attributes=[DEPARTMENT], get_user_info=True) == []
        assert problems(**ENTRUST) == []
        for template in set(TEMPLATES) - {"entrust"}:
            assert not TEMPLATES[template].attributes_in_userinfo
        assert problems(attributes=[DEPARTMENT]) == []


class TestTheTrace:
    @pytest.mark.row("A-19", "A-25")
    def test_it_says_what_became_of_everything(self) -> None:
        made = rules(
            [{"name": "level", "type": "number"}, {"name": "tenant"}],
            fetch_groups=True,
            attributes=[
                {"claim": "level", "display_name": "Clearance", "type": "number"},
                {"claim": "shoes", "type": "number"},
                {"claim": "hat", "display_name": "Hat"},
                {"claim": "coat"},
            ],
            mappings=[
                {"target": "tenant", "static": "acme"},
                {"source": "nickname", "target": "level", "allow_weak_decoding": True},
            ],
        )
        claims = {"sub": "s", "nickname": "seven", "level": 5, "shoes": "big", "coat": "red"}
        context = context_of(made, claims, {"groups": 5, "email": ["a"]})
        assert context.attributes == {"sub": "s", "nickname": "seven", "tenant": "acme", "groups": []}
        ways = {way.source: way for way in context.ways}
        assert len(ways) == len(context.ways) - 1, "nickname goes two ways"
        token, userinfo, nobody = Origin.ID_TOKEN, Origin.USERINFO, Origin.NOBODY
        for way in (
            Way(token, "sub", "Subject", "sub", "string", Outcome.TAKEN),
            Way(token, "nickname", "Nickname", "nickname", "string", Outcome.TAKEN),
            Way(token, "nickname", "Nickname", "level", "number", Outcome.WRONG_TYPE, "string"),
            Way(Origin.STATIC, "acme", "", "tenant", "string", Outcome.TAKEN),
            Way(userinfo, "groups", "Groups", "groups", "string_array", Outcome.WRONG_TYPE, "number"),
            Way(userinfo, "email", "E-mail", "email", "string", Outcome.WRONG_TYPE, "array of string"),
            Way(nobody, "address", "Address", "address", "object", Outcome.ABSENT),
            Way(token, "level", "Clearance", "", "number", Outcome.UNUSED),
            Way(token, "shoes", "", "", "number", Outcome.WRONG_TYPE, "string"),
            Way(nobody, "hat", "Hat", "", "string", Outcome.ABSENT),
            Way(token, "coat", "", "", "string", Outcome.UNUSED),
        ):
            assert way in context.ways, way
        assert context.faults() == (
            "email: array of string where string is declared",
            "groups: number where string_array is declared",
            "nickname: string where number is declared",
            "shoes: string where number is declared",
        )


class TestChanges:
    MADE = rules([{"name": "level", "type": "number"}], fetch_groups=True)

    @pytest.mark.row("A-24")
    def test_a_hook_adds_replaces_and_takes_away(self) -> None:
        before = context_of(self.MADE, {"name": "Jane", "email": "a@b.example"})
        changes = {"level": 3, "name": "JANE", "email": None}
        assert self.MADE.change_problem(changes) is None
        after = before.changed(changes, self.MADE.schema)
        assert after.attributes == {"name": "JANE", "level": 3, "groups": []}
        assert [way for way in after.ways if way.origin is Origin.HOOK] == [
            Way(Origin.HOOK, "", "", "level", "number", Outcome.TAKEN),
            Way(Origin.HOOK, "", "", "name", "string", Outcome.TAKEN),
            Way(Origin.HOOK, "", "", "email", "string", Outcome.ABSENT),
        ]
        assert before.attributes["name"] == "Jane"
        assert set(after.ways) - set(before.ways) == {way for way in after.ways if way.origin is Origin.HOOK}
        assert {way.target for way in set(before.ways) - set(after.ways)} == {"level", "name", "email"} & {
            way.target for way in before.ways
        }

    @pytest.mark.row("A-24")
    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            (None, "it returned null, not a mapping"),
            (["name"], "it returned array of string, not a mapping"),
            ({"s" * 90: 1}, f"it returned '{'s' * 79}, which"),
            ({"salary": 1}, "'salary', which [[context]] does not declare"),
            ({"sub": "another"}, "'sub'"),
            ({5: "x"}, "5, which"),
            ({"level": "3"}, "string as level, which is declared as number"),
            ({"groups": "a"}, "string as groups"),
            ({"name": "\ud800"}, "string as name"),
            ({"level": 2**70}, "number as level"),
        ],
        # Not their texts: a node id has to say the same whenever it is read.
        ids=lambda value: None if isinstance(value, str) else type(value).__name__,
    )
    def test_what_it_may_not_return(self, changes: Any, told: str) -> None:
        assert told in (self.MADE.change_problem(changes) or "")

    @pytest.mark.row("A-24")
    def test_groups_are_its_to_change_only_where_they_are_fetched(self) -> None:
        assert self.MADE.change_problem({"groups": ["a"]}) is None
        assert rules().change_problem({"groups": ["a"]}) is not None
        # Another provider fetches them, so they are declared.
        (settings,) = configured().identity_providers
        made = ContextRules(settings, schema_of((), groups=True))
        assert "fetch_groups is off" in (made.change_problem({"groups": ["a"]}) or "")
        assert made.change_problem({"name": "Jane"}) is None


DECLARED = [{"name": "unit"}, {"name": "roles", "type": "string_array"}]
WRONG = [
    pytest.param(
        {"attributes": [DEPARTMENT], "mappings": [{"source": "department", "target": "nowhere"}]},
        "provider.mappings[0].target: is no context attribute; declare it in [[context]]",
        id="target not declared",
        marks=pytest.mark.row("A-22"),
    ),
    pytest.param(
        {"mappings": [{"source": "department", "target": "unit"}]},
        "provider.mappings[0].source: is no attribute of this provider; declare it in [[provider.",
        id="source not declared",
        marks=pytest.mark.row("A-19", "A-22"),
    ),
    pytest.param(
        {"mappings": [{"target": "unit"}]},
        "provider.mappings[0].target: has neither source nor static",
        id="no source",
        marks=pytest.mark.row("A-22"),
    ),
    pytest.param(
        {"mappings": [{"target": "unit", "source": "name", "static": "x"}]},
        "provider.mappings[0].target: has both source and static",
        id="two sources",
        marks=pytest.mark.row("A-22"),
    ),
    pytest.param(
        {"mappings": [{"source": "name", "target": "roles"}]},
        "provider.mappings[0].target: is a string_array, and its source a string",
        id="types differ",
        marks=pytest.mark.row("A-22"),
    ),
    pytest.param(
        {"mappings": [{"static": "perhaps", "target": "email_verified"}]},
        "provider.mappings[0].static: is no bool",
        id="static of another type",
        marks=pytest.mark.row("A-22"),
    ),
    *(
        pytest.param(
            {"mappings": [{"source": "name", "target": target}]},
            "provider.mappings[0].target: says who signed in and how",
            id=f"target {target}",
            marks=pytest.mark.row("A-22"),
        )
        for target in ("sub", "iss", "acr", "amr", "auth_time", "idp")
    ),
    pytest.param(
        {"attributes": [{"claim": "a"}], "mappings": [{"source": "a", "target": "groups"}]},
        "provider.mappings[0].target: is there only with fetch_groups",
        id="groups as target while off",
        marks=pytest.mark.row("A-11"),
    ),
    pytest.param(
        {"mappings": [{"source": "groups", "target": "roles"}]},
        "provider.mappings[0].source: is no attribute of this provider; set fetch_groups = true",
        id="groups as source while off",
        marks=pytest.mark.row("A-11"),
    ),
    pytest.param(
        {"attributes": [{"claim": "groups", "type": "string_array"}]},
        "provider.attributes[0].claim: is what fetch_groups takes",
        id="groups as attribute",
        marks=pytest.mark.row("A-11"),
    ),
    pytest.param(
        {"attributes": [{"claim": "email"}]},
        "provider.attributes[0].claim: is declared already; remove it",
        id="standard attribute",
        marks=pytest.mark.row("A-19"),
    ),
    pytest.param(
        {"attributes": [DEPARTMENT, DEPARTMENT]},
        "provider.attributes[1].claim: is declared already; keep one",
        id="attribute twice",
        marks=pytest.mark.row("A-19"),
    ),
    pytest.param(
        {"attributes": [{"claim": "a..b"}]},
        "provider.attributes[0].claim: has an empty name",
        id="no path",
        marks=pytest.mark.row("A-20"),
    ),
    pytest.param(
        {"attributes": [{"claim": "a", "type": "list"}]},
        "provider.attributes[0].type: is not one of",
        id="no type",
        marks=pytest.mark.row("A-19"),
    ),
    pytest.param({"amr": [""]}, "provider.amr: has an entry that is empty", id="amr empty"),
    pytest.param({"acr_to_amr": {"x": 5}}, "provider.acr_to_amr: has an entry", id="table of numbers"),
    pytest.param({"hook": "enrich"}, "provider.hook: names no callable", id="no hook name"),
    pytest.param(
        {"hook_required": False}, "provider.hook_required: is about a hook", id="no hook to be required"
    ),
    pytest.param(
        {"context_cache_seconds": 0},
        "provider.context_cache_seconds: is less than 1",
        id="cache without a time",
        marks=pytest.mark.row("A-15"),
    ),
]


@pytest.mark.parametrize(("provider", "told"), WRONG)
def test_settings_that_cannot_be_meant(provider: dict[str, Any], told: str) -> None:
    found = problems(DECLARED, **provider)
    assert [line for line in found if line.startswith(told)], found


@pytest.mark.row("A-23")
@pytest.mark.parametrize(
    ("context", "told"),
    [
        ([{"name": "my attribute"}], "context[0].name: is no name"),
        ([{"name": "a.b"}], "context[0].name: is no name"),
        ([{"name": "5"}], "context[0].name: is no name"),
        ([{"name": "x" * 65}], "context[0].name: is no name"),
        ([{"name": "a\n"}], "context[0].name: is no name"),
        ([{"name": "email"}], "context[0].name: is there by itself"),
        ([{"name": "amr"}], "context[0].name: is there by itself"),
        ([{"name": "groups"}], "context[0].name: is there with fetch_groups"),
        ([{"name": "a"}, {"name": "a"}], "context[1].name: is declared twice"),
        ([{"name": "a", "type": "text"}], "context[0].type: is not one of"),
        ([{"type": "string"}], "context[0].name: is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_context_attributes_that_cannot_be_declared(context: Any, told: str) -> None:
    found = problems(context)
    assert [line for line in found if line.startswith(told)], found


@pytest.mark.row("A-23")
def test_what_is_declared_is_the_schema() -> None:
    config = configured([{"name": "unit"}, {"name": "level", "type": "number", "description": "How high"}])
    schema = schema_of(config.context, groups=False)
    assert {name: str(kind) for name, kind in schema.items() if name not in STANDARD} == {
        "unit": "string",
        "level": "number",
    }


@pytest.mark.row("A-11", "A-23")
def test_a_session_keeps_only_what_is_declared() -> None:
    def told(claims: list[str], **provider: Any) -> list[str]:
        try:
            config_from_mapping(
                {
                    "public_url": PUBLIC_URL,
                    "provider": {"issuer": ISSUER, "client_id": "app", "client_secret": "x", **provider},
                    "users": {"source": "any"},
                    "session": {"secret": SECRET, "claims": claims},
                }
            )
        except SettingsError as error:
            return list(map(str, error.problems))
        return []

    assert told(["email", "address"]) == []
    assert told(["groups"], fetch_groups=True) == []
    assert told(["groups"]) == [
        "session.claims: 'groups' is there only with fetch_groups; set provider.fetch_groups = true"
    ]
    assert told(["department"]) == [
        "session.claims: 'department' is no context attribute; declare it in [[context]], and map to it"
    ]


@given(
    st.dictionaries(
        st.sampled_from([*STANDARD, "groups", "department", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
def test_whatever_an_idp_says_the_context_is_of_its_schema(claims: dict[str, Any]) -> None:
    made = rules([{"name": "department"}], attributes=[DEPARTMENT], fetch_groups=True)
    context = context_of(made, claims)
    assert made.change_problem({k: v for k, v in context.attributes.items() if k != "sub"}) is None
    assert len(context.faults()) == sum(
        way.outcome in (Outcome.WRONG_TYPE, Outcome.UNVERIFIED) for way in context.ways
    )
