"""`python -m benchmarks.provider [ROUNDS] [SECONDS]`: ours and npm's `oidc-provider`, in turns."""

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.provider import servers
from benchmarks.provider.load import measure, warm
from benchmarks.sidecar import report
from benchmarks.sidecar.report import Target
from benchmarks.sidecar.rounds import interleaved
from tests.live.peers import HERE
from tests.support.servers import ROOT

RESULTS = Path(__file__).with_name("results") / "latest.json"
TITLE = "Tokens and code flows, one process each"
OURS, PEER = "ours", "oidc-provider"
#: The `cpu` ratios are those for each core: the load generator takes the other one, and more or less of it.
TARGETS = (
    *(Target("rate", f"{OURS}, {kind}", f"{PEER}, {kind}", "") for kind in ("RS256", "ES256", "code flow")),
    *(Target("cpu", f"{OURS}, {kind}", f"{PEER}, {kind}", "<= 1") for kind in ("RS256", "code flow")),
    Target("cpu", f"{OURS}, ES256", f"{PEER}, ES256", ""),
    Target("rate", f"{OURS}, ES256", f"{OURS}, RS256", ">= 2"),
)
_SIGNATURES = 400


def seconds_of_a_signature() -> dict[str, float]:
    """CPU seconds that one signature takes here, by algorithm: what no provider can go below."""
    rsa_key, ec_key = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    took = {}
    signing: dict[str, Callable[[], bytes]] = {
        "RS256": lambda: rsa_key.sign(b"x" * 600, padding.PKCS1v15(), SHA256()),
        "ES256": lambda: ec_key.sign(b"x" * 600, ec.ECDSA(SHA256())),
    }
    for name, sign in signing.items():
        started = time.process_time()
        for _ in range(_SIGNATURES):
            sign()
        took[name] = (time.process_time() - started) / _SIGNATURES
    return took


def main(rounds: int = 7, seconds: float = 3) -> None:
    """Measure everything, print it and keep it."""
    with tempfile.TemporaryDirectory(prefix="oidcgate-benchmark-") as path, ExitStack() as running:
        folder = Path(path)
        both = (running.enter_context(servers.ours(folder)), running.enter_context(servers.peer(folder)))
        contenders = [
            *(provider.own_tokens(audience) for audience in servers.APIS for provider in both),
            *(provider.code_flows() for provider in both),
        ]
        rows = interleaved(contenders, warm, measure, rounds=rounds, seconds=seconds, folder=folder)
        said = report.versions() | servers.peer_versions(HERE)
    print(", ".join(f"{name} {number}" for name, number in said.items()))
    report.print_rows(TITLE, rows)
    found = [ratio for target in TARGETS if (ratio := report.seen(target, rows)) is not None]
    report.print_ratios(found)
    for algorithm, one in seconds_of_a_signature().items():
        share = one * 1e6 / rows[f"{OURS}, {algorithm}"].cpu
        print(
            f"one {algorithm} signature takes {one * 1e6:,.0f} us: {share:.2f} of what ours takes for a token"
            f"{' (to reach: >= 0.5)' if algorithm == 'RS256' else ''}"
        )
    report.keep({TITLE: rows}, found, said, [], results=RESULTS, sources=("provider", "benchmarks/provider"))
    print(f"\nRaw figures: {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
