"""Configuration: frozen dataclasses filled from TOML and the environment, all problems at once.

What the settings *are* is declared by each side (`oidcgate.gate.config`, `provider.config`); rules over
several fields are methods of those classes marked `@cross_check`. Nothing here opens a store or asks the
network. Inside: `values` (Secret, Problem), `fields` (declaring, describing), `toml_file` (its text),
`reading` (mapping, environment, files of secrets).
"""

from oidcgate.settings.fields import REQUIRED, SettingDoc, contradictions, cross_check, describe, setting
from oidcgate.settings.reading import Check, load, parse
from oidcgate.settings.values import FileText, Problem, Secret, SettingsError

__all__ = [
    "REQUIRED",
    "Check",
    "FileText",
    "Problem",
    "Secret",
    "SettingDoc",
    "SettingsError",
    "contradictions",
    "cross_check",
    "describe",
    "load",
    "parse",
    "setting",
]
