"""The modules by the certification's names."""

from collections.abc import Callable

from tests.conformance.rp.run import Run

Module = Callable[[Run], None]
MODULES: dict[str, Module] = {}


def module(name: str) -> Callable[[Module], Module]:
    """Make a function the module of this name."""

    def register(function: Module) -> Module:
        assert name not in MODULES, f"{name} is there twice"
        MODULES[name] = function
        return function

    return register
