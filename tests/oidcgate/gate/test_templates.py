"""Templates: a few settings are a full configuration, and exactly what is wrong with them is told."""

import tomllib
from typing import Any

import pytest

from oidcgate.gate.config import GateConfig, config_from_mapping
from oidcgate.gate.templates import TEMPLATES
from oidcgate.settings import SettingsError
from tests.support.lying_provider import CLIENT_ID, CLIENT_SECRET, GONE, SECRET, LyingProvider, Scene
from tests.support.lying_provider import Clock as FakeClock
from tools.bootstrap import ROOT

CONTOSO = "11111111-2222-3333-4444-555555555555"
FABRIKAM = "66666666-7777-8888-9999-aaaaaaaaaaaa"
ENTRA = "https://login.microsoftonline.com"


def config(**provider: Any) -> GateConfig:
    return config_from_mapping(
        {
            "public_url": "https://app.example.com",
            "provider": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **provider},
            "users": {"source": "any"},
            "session": {"secret": SECRET},
        }
    )


@pytest.mark.row("A-01", "A-02")
@pytest.mark.parametrize(
    ("settings", "issuer"),
    [
        ({"template": "entrust", "domain": "t.us.trustedauth.com"}, "https://t.us.trustedauth.com/api/oidc"),
        (
            {"template": "entrust", "domain": "t.us.trustedauth.com:8443"},
            "https://t.us.trustedauth.com:8443/api/oidc",
        ),
        (
            {"template": "secureauth", "domain": "login.example.com", "realm": "SecureAuth4"},
            "https://login.example.com/SecureAuth4",
        ),
        ({"template": "entra", "tenant": CONTOSO}, f"{ENTRA}/{CONTOSO}/v2.0"),
        (
            {"template": "entra", "tenant": CONTOSO, "domain": "login.microsoftonline.us"},
            f"https://login.microsoftonline.us/{CONTOSO}/v2.0",
        ),
        ({"template": "okta", "domain": "example.okta.com"}, "https://example.okta.com"),
        (
            {"template": "okta", "issuer": "https://example.okta.com/oauth2/default"},
            "https://example.okta.com/oauth2/default",
        ),
        ({"template": "auth0", "domain": "example.eu.auth0.com"}, "https://example.eu.auth0.com/"),
        (
            {"template": "keycloak", "domain": "keycloak.example.com", "realm": "staff"},
            "https://keycloak.example.com/realms/staff",
        ),
        ({"template": "google"}, "https://accounts.google.com"),
        (
            {"template": "salesforce", "domain": "example.my.salesforce.com"},
            "https://example.my.salesforce.com",
        ),
        ({"template": "pingone", "tenant": CONTOSO}, f"https://auth.pingone.com/{CONTOSO}/as"),
        (
            {"template": "pingone", "tenant": CONTOSO, "domain": "auth.pingone.eu"},
            f"https://auth.pingone.eu/{CONTOSO}/as",
        ),
        ({"template": "generic", "issuer": "https://id.example.com"}, "https://id.example.com"),
    ],
    ids=lambda value: value.get("template") if isinstance(value, dict) else "",
)
def test_an_address_of_few_settings(settings: dict[str, Any], issuer: str) -> None:
    (provider,) = config(**settings).identity_providers
    assert provider.expected_issuer == issuer
    assert provider.discovery_url == issuer.removesuffix("/") + "/.well-known/openid-configuration"
    assert provider.scopes == ("openid", "profile", "email")


def test_every_template_is_in_the_table_above() -> None:
    marked = test_an_address_of_few_settings.pytestmark
    (table,) = (mark.args[1] for mark in marked if mark.name == "parametrize")
    assert {settings["template"] for settings, _ in table} == set(TEMPLATES)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_the_audience_of_a_signed_proof_is_a_default_only(name: str) -> None:
    template = TEMPLATES[name]
    said = {place: template.examples[place] for place in template.places}
    issuer = {"issuer": "https://id.example.com"} if template.issuer is None else {}
    (provider,) = config(template=name, **said, **issuer).identity_providers
    assert provider.assertion_audience == template.assertion_audience
    (provider,) = config(
        template=name, **said, **issuer, client_assertion_audience="issuer"
    ).identity_providers
    assert provider.assertion_audience == "issuer"


@pytest.mark.row("A-02")
@pytest.mark.parametrize(
    ("domain", "said"),
    [
        pytest.param("https://t.us.trustedauth.com", "has a protocol", id="https"),
        pytest.param("http://t.us.trustedauth.com", "has a protocol", id="http"),
        pytest.param("https://t.us.trustedauth.com/api/oidc", "has a protocol", id="issuer"),
        pytest.param("t.us.trustedauth.com/", "ends in a slash", id="slash"),
        pytest.param("t.us.trustedauth.com/api/oidc", "has a path", id="path"),
        pytest.param("t.us.trustedauth.com/api/", "has a path", id="path-and-slash"),
        pytest.param("T.us.trustedauth.com", "is not a host in lower case", id="case"),
        pytest.param("t.us.trustedauth.com:https", "is not a host", id="port-word"),
        pytest.param("t.us.trustedauth.com:0", "is not a host", id="port-0"),
        pytest.param("t.us.trustedauth.com:70000", "has a port that is none", id="port-high"),
        pytest.param("t.us.trustedauth.com:443", "or that https has anyway", id="port-443"),
        pytest.param("user@t.us.trustedauth.com", "is not a host", id="user"),
        pytest.param("t.us.trustedauth.com?x", "is not a host", id="query"),
        pytest.param("t.us.trustedauth.com#x", "is not a host", id="fragment"),
        pytest.param(" t.us.trustedauth.com", "is not a host", id="space"),
        pytest.param("t..trustedauth.com", "is not a host", id="dots"),
        pytest.param("{tenant}.example.com", "is not a host", id="braces"),
        pytest.param("tüv.example.com", "xn--", id="international"),
        pytest.param("", "is not a host", id="empty"),
    ],
)
def test_a_domain_is_a_host_alone(domain: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        config(template="entrust", domain=domain)
    (problem,) = caught.value.problems
    assert problem.key == "provider.domain"
    assert said in str(problem)


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        pytest.param({}, "issuer", "is missing, and so is configuration_url", id="generic"),
        pytest.param({"template": "entrust"}, "domain", '= "t.us.trustedauth.com"', id="entrust"),
        pytest.param({"template": "entra"}, "tenant", "the template entra needs it", id="entra"),
        pytest.param(
            {"template": "keycloak", "domain": "k.example"}, "realm", 'realm = "staff"', id="keycloak"
        ),
        pytest.param({"template": "entrusted"}, "template", "did you mean 'entrust'?", id="misspelt"),
        pytest.param(
            {"template": "google", "domain": "accounts.google.com"},
            "domain",
            "has no place in",
            id="more",
        ),
        pytest.param(
            {"issuer": "https://id.example.com", "realm": "x"}, "realm", "has no place in", id="generic-realm"
        ),
        pytest.param(
            {"template": "okta", "domain": "x.okta.com", "issuer": "https://x.okta.com"},
            "domain",
            "is given beside the issuer",
            id="both",
        ),
        pytest.param(
            {"template": "keycloak", "domain": "k.example", "realm": "a/b"},
            "realm",
            "one name",
            id="realm-path",
        ),
        pytest.param(
            {"template": "keycloak", "domain": "k.example", "realm": ".."},
            "realm",
            "one name",
            id="realm-dots",
        ),
        pytest.param(
            {"template": "entra", "tenant": "contoso.onmicrosoft.com"}, "tenant", "no tenant id", id="name"
        ),
        pytest.param(
            {"template": "entra", "tenant": "common"},
            "allowed_tenants",
            "people of every tenant could sign in",
            id="everybody",
        ),
        pytest.param(
            {"template": "entra", "tenant": "common", "allowed_tenants": ["contoso"]},
            "allowed_tenants",
            "no tenant id",
            id="allowed-names",
        ),
        pytest.param(
            {"template": "entra", "tenant": CONTOSO, "allowed_tenants": [FABRIKAM]},
            "allowed_tenants",
            "says nothing",
            id="one-tenant-and-others",
        ),
        pytest.param(
            {"issuer": "https://id.example.com", "allowed_tenants": [FABRIKAM]},
            "allowed_tenants",
            "says nothing",
            id="tenants-of-another-idp",
        ),
        pytest.param(
            {"issuer": "https://id.example.com", "hosted_domain": "example.com"},
            "hosted_domain",
            "has no place in the template generic",
            id="hosted-domain-of-another-idp",
        ),
        pytest.param(
            {"template": "google", "hosted_domain": "@example.com"}, "hosted_domain", "is no domain", id="at"
        ),
    ],
)
def test_what_does_not_go_together(settings: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        config(**settings)
    (problem,) = caught.value.problems
    assert problem.key == f"provider.{key}"
    assert said in str(problem)


@pytest.mark.checkout
@pytest.mark.row("A-01")
@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_its_page_says_its_issuer(name: str) -> None:
    page = (ROOT / "docs" / "how-to" / "identity-providers" / f"{name}.md").read_text()
    first = page.partition("```toml\n")[2].partition("```")[0]
    connection = tomllib.loads(first)["provider"]
    assert connection.get("template", "generic") == name
    (provider,) = config(**{**connection, "client_secret_file": None}).identity_providers
    assert provider.expected_issuer in page.replace(first, "")


@pytest.mark.row("A-01", "A-06")
def test_an_entrust_connection_signs_in() -> None:
    provider = LyingProvider(FakeClock(), issuer="https://t.us.trustedauth.com/api/oidc")
    entrust = {"template": "entrust", "domain": "t.us.trustedauth.com", "issuer": None}
    browser = Scene.set({"provider": entrust}, provider).browser()
    assert browser.sign_in().status_code == 303
    assert browser.has_session()


class TestTenants:
    """The template entra with several tenants: whose `iss`, and whose people."""

    def scene(self, tid: Any, iss: Any = None) -> Scene:
        provider = LyingProvider(FakeClock(), issuer=f"{ENTRA}/organizations/v2.0")
        provider.metadata["issuer"] = f"{ENTRA}/{{tenantid}}/v2.0"
        provider.metadata["authorization_response_iss_parameter_supported"] = False
        provider.claims |= {"tid": tid, "iss": iss or f"{ENTRA}/{tid}/v2.0"}
        return Scene.set(
            {
                "provider": {
                    "issuer": None,
                    "template": "entra",
                    "tenant": "organizations",
                    "allowed_tenants": [CONTOSO, FABRIKAM],
                }
            },
            provider,
        )

    @pytest.mark.parametrize("tenant", [CONTOSO, FABRIKAM])
    def test_people_of_each_that_is_allowed(self, tenant: str) -> None:
        browser = self.scene(tenant).browser()
        assert browser.sign_in(iss=GONE).status_code == 303
        assert browser.has_session()

    @pytest.mark.parametrize(
        ("tid", "iss", "reason"),
        [
            pytest.param("77777777-2222-3333-4444-555555555555", None, "id_token_tenant", id="another"),
            pytest.param(CONTOSO.replace("1", "A").upper(), None, "id_token_tenant", id="case"),
            pytest.param(GONE, f"{ENTRA}/{CONTOSO}/v2.0", "id_token_tenant", id="no-tid"),
            pytest.param([CONTOSO], f"{ENTRA}/{CONTOSO}/v2.0", "id_token_tenant", id="list"),
            pytest.param(CONTOSO, f"{ENTRA}/{FABRIKAM}/v2.0", "id_token_iss", id="tid-of-another-iss"),
            pytest.param(CONTOSO, f"{ENTRA}/{{tenantid}}/v2.0", "id_token_iss", id="place-itself"),
            pytest.param(CONTOSO, f"{ENTRA}/organizations/v2.0", "id_token_iss", id="organizations"),
            pytest.param("{tenantid}", f"{ENTRA}/{{tenantid}}/v2.0", "id_token_tenant", id="place-as-tid"),
        ],
    )
    def test_nobody_else(self, tid: Any, iss: Any, reason: str) -> None:
        scene = self.scene(tid, iss)
        browser = scene.browser()
        assert browser.sign_in(iss=GONE).status_code == 400
        assert scene.reasons() == [reason]
        assert not browser.has_session()

    def test_one_tenant_needs_no_tid(self) -> None:
        provider = LyingProvider(FakeClock(), issuer=f"{ENTRA}/{CONTOSO}/v2.0")
        one = {"issuer": None, "template": "entra", "tenant": CONTOSO}
        assert Scene.set({"provider": one}, provider).browser().sign_in().status_code == 303


class TestGroupsElsewhere:
    """Entra's overage: too many groups for a token. They are absent, and the log says so."""

    @pytest.mark.parametrize(
        "claims",
        [
            pytest.param(
                {
                    "_claim_names": {"groups": "src1"},
                    "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/x/getMemberObjects"}},
                },
                id="names",
            ),
            pytest.param({"hasgroups": True}, id="hasgroups"),
            pytest.param({"hasgroups": "true"}, id="hasgroups-as-text"),
        ],
    )
    def test_it_is_told_and_nobody_is_asked(self, claims: dict[str, Any]) -> None:
        scene = Scene.set()
        scene.provider.claims |= claims
        assert scene.browser().sign_in().status_code == 303
        (told,) = (line for line in scene.audit if line["event"] == "login.claims_elsewhere")
        assert (told["claims"], told["user_name"]) == (["groups"], "Alice")

    @pytest.mark.parametrize(
        "claims",
        [
            pytest.param({}, id="none"),
            pytest.param({"groups": ["a"], "_claim_names": {"groups": "src1"}}, id="there-as-well"),
            pytest.param({"_claim_names": ["groups"]}, id="no-object"),
            pytest.param({"hasgroups": False}, id="false"),
        ],
    )
    def test_and_only_then(self, claims: dict[str, Any]) -> None:
        scene = Scene.set()
        scene.provider.claims |= claims
        assert scene.browser().sign_in().status_code == 303
        assert not [line for line in scene.audit if line["event"] == "login.claims_elsewhere"]


class TestHostedDomain:
    """The template google with a Workspace domain."""

    def scene(self, hosted: Any) -> Scene:
        provider = LyingProvider(FakeClock(), issuer="https://accounts.google.com")
        provider.claims["hd"] = hosted
        google = {"issuer": None, "template": "google", "hosted_domain": "example.com"}
        return Scene.set({"provider": google}, provider)

    def test_its_people_come_in(self) -> None:
        browser = self.scene("example.com").browser()
        location = browser.start()
        assert "hd=example.com" in location
        assert browser.get(browser.scene.provider.answer(location)).status_code == 303

    @pytest.mark.parametrize(
        "hosted", [GONE, None, "example.org", "EXAMPLE.COM", "x.example.com", ["example.com"], "example.com."]
    )
    def test_nobody_else_whatever_the_address_says(self, hosted: Any) -> None:
        scene = self.scene(hosted)
        scene.provider.claims |= {"email": "mallory@example.com", "email_verified": True}
        browser = scene.browser()
        assert browser.sign_in().status_code == 400
        assert scene.reasons() == ["id_token_hosted_domain"]
        assert not browser.has_session()
