"""Imports point one way. The rules are data: a new room or a new edge is a line here, and a decision."""

import ast
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGES, Module, imports, modules

OURS = (*PACKAGES, "examples", "tests", "tools", "benchmarks")

# Rooms anyone may use: they import nothing of ours.
GROUND = (
    "oidcgate.settings",
    "oidcgate.audit",
    "oidcgate.handover",
    "oidcgate.identity",
    "oidcgate.loopback",
    "oidcgate.own_code",
    "oidcgate.slowing",
    "oidcgate.strict_json",
    "oidcgate.time_limit",
    "oidcgate.waiting",
)

# Rooms that know neither gate nor provider, and the provider's own ground.
NEUTRAL = (*GROUND, "oidcgate.net", "oidcgate.web", "oidcgate.jose", "oidcgate.protocol")
PROVIDER_GROUND = (
    "provider.instants",
    "provider.property_settings",
    "provider.realm_settings",
    "provider.catalogue_settings",
    "provider.client_rules",
    "provider.algorithm_names",
    "provider.request_object_settings",
    "provider.client_crypto",
    "provider.client_logout",
    "provider.client_request_objects",
    "provider.client_subjects",
    "provider.client_about",
    "provider.client_settings",
    "provider.information_settings",
    "provider.outbound_settings",
    "provider.registration_settings",
    "provider.logout_settings",
    "provider.catalogue",
    "provider.signing_settings",
    "provider.user_settings",
    "provider.catalogue_problems",
    "provider.config",
    "provider.realm",
    "provider.routes",
    "provider.events",
    "provider.pages",
)

# Room → what it may import of ours beside itself. A room not named here may not exist.
ALLOWED: dict[str, tuple[str, ...]] = {
    "oidcgate.net": GROUND,
    "oidcgate.web": GROUND,
    "oidcgate.jose": GROUND,
    "oidcgate.storage": GROUND,
    "oidcgate.proxy": (*GROUND, "oidcgate.web"),
    "oidcgate.protocol": (*GROUND, "oidcgate.jose.keys", "oidcgate.jose.jwt"),
    "oidcgate.directory": (*GROUND, "oidcgate.net"),
    "oidcgate.gate": (
        *GROUND,
        "oidcgate.net",
        "oidcgate.web",
        "oidcgate.jose",
        "oidcgate.storage",
        "oidcgate.protocol",
        "oidcgate.directory",
        # What an upstream is: the settings ask the proxy's own rules, and give its limits.
        "oidcgate.proxy.routes",
    ),
    "oidcgate.serve": ("oidcgate",),
    "oidcgate.cli": ("oidcgate",),
    "oidcgate.__main__": ("oidcgate.cli",),
    "oidcgate": ("oidcgate.gate", "oidcgate.identity", "oidcgate.proxy.wsgi"),
    # The provider's rooms, from the ground up; of oidcgate they use what knows neither gate nor provider.
    "provider.realm_settings": ("oidcgate.settings",),
    "provider.property_settings": ("oidcgate.settings",),
    "provider.catalogue_settings": ("oidcgate.settings",),
    "provider.outbound_settings": ("oidcgate.settings", "oidcgate.net.addresses"),
    "provider.logout_settings": ("oidcgate.settings",),
    "provider.client_rules": (),
    "provider.client_logout": ("oidcgate.settings", "oidcgate.protocol"),
    "provider.client_about": ("oidcgate.settings", "oidcgate.protocol"),
    "provider.information_settings": ("oidcgate.settings", "oidcgate.protocol"),
    "provider.client_subjects": ("oidcgate.settings", "oidcgate.protocol", "provider.client_rules"),
    "provider.algorithm_names": ("oidcgate.settings",),
    "provider.request_object_settings": ("oidcgate.settings", "oidcgate.jose"),
    "provider.client_crypto": (
        *GROUND,
        "oidcgate.jose",
        "oidcgate.net.addresses",
        "provider.algorithm_names",
        "provider.client_rules",
    ),
    "provider.client_request_objects": (
        "oidcgate.settings",
        "oidcgate.jose",
        "oidcgate.protocol",
        "provider.algorithm_names",
        "provider.client_rules",
        "provider.request_object_settings",
    ),
    "provider.catalogue": ("provider.catalogue_settings", "provider.property_settings"),
    "provider.catalogue_problems": (
        "oidcgate.settings",
        "provider.catalogue",
        "provider.catalogue_settings",
        "provider.property_settings",
    ),
    "provider.client_settings": (
        "oidcgate.settings",
        "provider.client_about",
        "provider.client_crypto",
        "provider.client_logout",
        "provider.client_request_objects",
        "provider.client_rules",
        "provider.client_subjects",
        "oidcgate.protocol",
        "provider.catalogue_settings",
        "provider.realm_settings",
    ),
    "provider.registration_settings": (
        "oidcgate.settings",
        "provider.catalogue_settings",
        "provider.client_crypto",
        "provider.client_settings",
    ),
    "provider.user_settings": ("oidcgate.settings", "provider.property_settings"),
    "provider.instants": (),
    "provider.signing_settings": ("oidcgate.settings", "oidcgate.jose", "provider.instants"),
    "provider.config": (
        "oidcgate.net.addresses",
        *GROUND,
        "oidcgate.web",
        "oidcgate.jose",
        "oidcgate.protocol",
        "provider.property_settings",
        "provider.realm_settings",
        "provider.request_object_settings",
        "provider.catalogue_settings",
        "provider.catalogue",
        "provider.catalogue_problems",
        "provider.client_rules",
        "provider.client_settings",
        "provider.information_settings",
        "provider.registration_settings",
        "provider.signing_settings",
        "provider.user_settings",
        "provider.outbound_settings",
        "provider.logout_settings",
    ),
    "provider.realm": ("provider.config", "provider.catalogue"),
    "provider.routes": ("provider.realm",),
    "provider.events": ("oidcgate.audit",),
    "provider.pages": ("oidcgate.web", "provider.instants"),
    # What a client may have is asked of its row as it was of its settings.
    "provider.store": ("oidcgate.protocol", "oidcgate.settings", "oidcgate.slowing", "provider.client_rules"),
    "provider.services": (
        *NEUTRAL,
        *PROVIDER_GROUND,
        "provider.store",
    ),
    "provider.grants": (
        *NEUTRAL,
        *PROVIDER_GROUND,
        "provider.store",
        "provider.services",
        "provider.factors",
    ),
    "provider.factors": (*NEUTRAL, *PROVIDER_GROUND, "provider.store", "provider.services"),
    "provider.endpoints": (
        *NEUTRAL,
        *PROVIDER_GROUND,
        "provider.store",
        "provider.services",
        "provider.grants",
        "provider.factors",
    ),
    "provider.build": (*NEUTRAL, "provider"),
    "provider.prepare": ("oidcgate.settings", "provider"),
    "provider.app": (*NEUTRAL, "provider"),
    "provider.serve": (*NEUTRAL, "provider"),
    "provider.cli": (*NEUTRAL, "provider"),
    "provider.__main__": ("provider",),
    "provider": ("provider.app",),
    **dict.fromkeys(GROUND, ()),
    "oidcgate.own_code": ("oidcgate.time_limit",),
}

# Modules that return values and do nothing else: what they decide can be tested as a table.
PURE = (
    "oidcgate.directory.entries",
    "oidcgate.gate.claim_path",
    "oidcgate.gate.comparison",
    "oidcgate.gate.context",
    "oidcgate.gate.context_settings",
    "oidcgate.gate.context_types",
    "oidcgate.gate.decision",
    "oidcgate.gate.diagnosis",
    "oidcgate.gate.forwarding",
    "oidcgate.gate.login_request",
    "oidcgate.gate.policy",
    "oidcgate.gate.refresh",
    "oidcgate.gate.unread",
    "oidcgate.identity",
    "oidcgate.jose.jwe",
    "oidcgate.jose.jwt",
    "oidcgate.jose.keys",
    "oidcgate.jose.shared_secret",
    "oidcgate.protocol",
    "oidcgate.proxy.answer",
    "oidcgate.proxy.client_way",
    "oidcgate.proxy.fields",
    "oidcgate.proxy.frames",
    "oidcgate.proxy.framing",
    "oidcgate.proxy.request_head",
    "oidcgate.proxy.response_head",
    "oidcgate.proxy.routes",
    "oidcgate.serve.answer_head",
    "oidcgate.slowing",
    "oidcgate.strict_json",
    "oidcgate.web.canonical_path",
    "oidcgate.web.cookies",
    "oidcgate.web.facts",
    "oidcgate.web.forwarded",
    "provider.client_crypto",
    "provider.client_logout",
    "provider.client_about",
    "provider.client_subjects",
    "provider.client_rules",
    "provider.property_settings",
    "provider.user_settings",
    "provider.services.authentication_context",
    "provider.catalogue",
    "provider.catalogue_problems",
    "provider.services.claims",
    "provider.services.consent_record",
    "provider.services.pairwise",
    "provider.services.interaction",
    "provider.services.minting",
    "provider.services.notice_rules",
    "provider.services.organizations",
    "provider.services.allowed_people",
    "provider.services.client_metadata",
    "provider.services.registration_policy",
    "provider.services.scopes",
    "provider.services.second_factor",
)
IMPURE = (
    "time",
    "secrets",
    "os",
    "socket",
    "sqlite3",
    "random",
    "datetime",
    "threading",
    "requests",
    "sqlalchemy",
)

# The one module of each side that knows all parts, and the edge that may call it. Everything else is
# given its collaborators as fields.
COMPOSING = {
    "oidcgate.gate.build": (
        "oidcgate.gate.front",
        "oidcgate.cli.*",
        "oidcgate.serve.*",
    ),
    "provider.build": (
        "provider",
        "provider.app",
        "provider.prepare",
        "provider.cli.*",
        "provider.serve",
        "provider.serve.*",
    ),
}


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(name: str) -> str:
    """The longest entry of ALLOWED that holds the module; a bare package only for itself."""
    rooms = [room for room in ALLOWED if within(name, room) and (room not in PACKAGES or name == room)]
    return max(rooms, key=len, default="")


def violations(listed: Iterable[Module]) -> list[str]:
    found: list[str] = []
    for module in listed:
        room = room_of(module.name)
        if not room:
            found.append(f"{module.name}: not in a known room")
            continue
        for item in imports(module):
            if item.name.partition(".")[0] not in OURS:
                continue
            # A bare package holds every room, so "its own room" would allow it everything.
            own = () if room in PACKAGES else (room,)
            if not any(within(item.name, target) for target in (*own, *ALLOWED[room])):
                found.append(f"{module.name}:{item.line} imports {item.name}")
    return found


def test_imports_follow_the_rooms() -> None:
    assert violations(modules().values()) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        pytest.param("oidcgate.web.x", "from oidcgate.gate import session", id="room-imports-gate"),
        pytest.param("oidcgate.web.x", "import oidcgate.net.fetch", id="room-imports-room"),
        pytest.param(
            "oidcgate.jose.x", "def f():\n    from oidcgate.net import fetch", id="inside-a-function"
        ),
        pytest.param("oidcgate.gate.x", "import provider.store", id="gate-imports-provider"),
        pytest.param("provider.cli.x", "from oidcgate.gate.policy import Rule", id="provider-imports-gate"),
        pytest.param("provider.cli.x", "from oidcgate import Gate", id="provider-imports-the-public-gate"),
        pytest.param("provider.store.x", "import provider.services.tokens", id="store-imports-services"),
        pytest.param("provider.services.x", "import provider.endpoints.token", id="service-imports-endpoint"),
        pytest.param(
            "provider.grants.x", "from provider.endpoints import token", id="grant-imports-endpoint"
        ),
        pytest.param("provider.helpers", "", id="unknown-room-of-the-provider"),
        pytest.param("oidcgate.protocol.x", "from oidcgate.jose import remote", id="protocol-imports-remote"),
        pytest.param("oidcgate.web.x", "from ..gate import session", id="relative"),
        pytest.param("oidcgate.utils", "", id="unknown-room"),
        pytest.param("oidcgate.settings", "import oidcgate.audit", id="ground-imports-ground"),
        pytest.param("provider.cli.x", "from tests.support import servers", id="imports-tests"),
    ],
)
def test_the_rule_sees_a_violation(name: str, source: str) -> None:
    module = Module(name, Path(f"{name.rpartition('.')[2]}.py"), source, ast.parse(source))

    assert violations([module]) != []


@pytest.mark.parametrize("room", PURE)
def test_pure_modules_neither_act_nor_look_at_the_world(room: str) -> None:
    members = [module for name, module in modules().items() if within(name, room)]
    assert members, f"{room} is listed as pure but does not exist"

    impure = [
        f"{module.name}:{item.line} imports {item.name}"
        for module in members
        for item in imports(module)
        if any(within(item.name, name) for name in IMPURE)
    ]

    assert impure == []


@pytest.mark.parametrize("composer", COMPOSING)
def test_only_the_edge_imports_the_composing_module(composer: str) -> None:
    importing = {
        module.name
        for module in modules().values()
        if module.name != composer and any(within(item.name, composer) for item in imports(module))
    }

    inside = {name for name in importing if not any(fnmatchcase(name, edge) for edge in COMPOSING[composer])}
    assert inside == set()


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    known = modules()
    graph = {
        name: {item.name for item in imports(module) if item.at_load and item.name in known} - {name}
        for name, module in known.items()
    }
    # Taking away what imports nothing that is left, until nothing can be taken: the rest is in circles.
    while True:
        free = {name for name, needed in graph.items() if not needed & graph.keys()}
        if not free:
            break
        graph = {name: needed for name, needed in graph.items() if name not in free}

    assert {name: sorted(needed & graph.keys()) for name, needed in graph.items()} == {}
