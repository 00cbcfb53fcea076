"""Configuration: frozen dataclasses filled from TOML and the environment, all problems at once.

What the settings *are* is declared by each side (`oidcgate.gate.config`, `provider.config`); rules over
several fields are a method `problems()` of those classes. Nothing here opens a store or asks the network.
Inside: `values` (Secret, Problem), `fields` (declaring, describing), `reading` (TOML, environment, files of
secrets).
"""

from oidcgate.settings.fields import REQUIRED, SettingDoc, describe, setting
from oidcgate.settings.reading import load, parse
from oidcgate.settings.values import Problem, Secret, SettingsError

__all__ = [
    "REQUIRED",
    "Problem",
    "Secret",
    "SettingDoc",
    "SettingsError",
    "describe",
    "load",
    "parse",
    "setting",
]
