# Every target makes its own environment in .venv; nothing needs to be activated or installed first.
# Needed on the machine: Python 3.11 or newer and make. A Python of your choice: make PYTHON=python3.12 ...

.PHONY: demo test test-fast test-peers test-requests test-heavy conformance check trace mutants bench bench-sidecar bench-provider tables clean

# Python keeps what it compiled, even where the machine tells it not to: the tests start hundreds of Pythons, and each
# of them compiled the packages anew, each worker all tests.
unexport PYTHONDONTWRITEBYTECODE

# exec: the demo takes make's place on the terminal, so that Ctrl-C reaches it and it can stop what it started.
demo:
	@tools/bootstrap.sh demo
	@exec .venv/bin/python -m examples.demo

# Everything: format, lint, types, all tests, then the built wheel tested from another folder.
test:
	@tools/bootstrap.sh test
	@.venv/bin/python -m tools.packages
	@exec .venv/bin/python -m tools.verify all

# The everyday loop: no browser, no servers, no slow test.
test-fast:
	@tools/bootstrap.sh test
	@exec .venv/bin/python -m tools.verify fast

# Format, lint, types, import rule, public names, docs.
check:
	@tools/bootstrap.sh test
	@exec .venv/bin/python -m tools.verify check

# The requirement rows against the tests that passed: docs/requirements/README.md.
trace:
	@tools/bootstrap.sh test
	@exec .venv/bin/python -m tools.trace

# The generated docs that depend on code alone.
tables:
	@tools/bootstrap.sh test
	@.venv/bin/python -m tools.libraries
	@.venv/bin/python -m tools.reference
	@.venv/bin/python -m tools.explained

# Mutation testing of the pure modules; prints the score and the survivors.
mutants:
	@tools/bootstrap.sh test
	@exec .venv/bin/python -m tools.mutants

# Side by side with peers, which get an environment of their own; prints figures, passes no judgement.
bench:
	@tools/bootstrap.sh demo
	@exec .venv/bin/python -m benchmarks.in_process

# The sidecar beside Apache mod_auth_openidc and oauth2-proxy, under load for some minutes; a peer that is not there
# is named and left out. Needed on the machine: nginx and wrk.
bench-sidecar:
	@tools/bootstrap.sh test
	@.venv/bin/python -m benchmarks.sidecar
	@exec .venv/bin/python -m benchmarks.sidecar.streams

# The provider beside npm's oidc-provider, which is installed into build/peers. Needed on the machine: wrk.
bench-provider:
	@tools/bootstrap.sh test
	@exec .venv/bin/python -m benchmarks.provider

# Peers that take long to build: builds them into build/peers and signs somebody in at each.
test-peers:
	@tools/bootstrap.sh test
	@exec .venv/bin/python -m benchmarks.sidecar.peers

# Ten thousand generated requests to each front, from raw sockets; prints what came of them.
test-requests:
	@tools/bootstrap.sh test
	@exec .venv/bin/python -m tests.live.generated_requests --number 10000

# The certification's modules at our provider, or at any: make conformance TARGET=target.toml PLANS=basic,config
# At our gate, or at any relying party: make conformance ROLE=rp
conformance:
	@tools/bootstrap.sh test
	@exec .venv/bin/python -m tests.conformance $(if $(ROLE),--role $(ROLE)) $(if $(TARGET),--target $(TARGET)) $(if $(PLANS),--plans $(PLANS)) \
		$(if $(MODULE),--module $(MODULE)) $(if $(WAIT),--wait $(WAIT))

# Tests too long for `make test`: races and kills at full size, whose figures it leaves in build/figures.jsonl, and plans
# over many rows.
test-heavy:
	@tools/bootstrap.sh test
	@rm -f build/figures.jsonl
	@exec .venv/bin/python -m pytest -m heavy

clean:
	rm -rf .venv build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
