"""How a setting is declared, and what that says to a reader: `setting`, `describe`.

A class of settings is a frozen dataclass whose fields carry type, default, help and rules. Next door:
`values`, what a setting may be beside Python's own types; `reading`, which fills such a class.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from oidcgate.settings.values import FileText, Problem, Secret

CrossCheck = typing.TypeVar("CrossCheck", bound=Callable[[Any], Iterable[Problem]])

#: What may be given as it is or in a file of its own, which `x_file` names.
FILED: Final = (Secret, FileText)
#: Default of a setting that has none: leaving it out is a problem.
REQUIRED: Final = object()


class SettingDoc(NamedTuple):
    """One line of the reference. `key` has `[]` after an array of tables; secret and text have `key_file`."""

    key: str
    type: str
    default: str
    help: str
    secret: bool


class Rule(NamedTuple):
    """What a field declares about its values, beside its type; found under `rule` in its metadata."""

    help: str = ""
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    check: Callable[[Any], str | None] | None = None
    each: Callable[[Any], str | None] | None = None
    made_by: str = ""


def setting(
    *,
    default: Any = REQUIRED,
    factory: Callable[[], Any] | None = None,
    help: str,
    choices: Iterable[Any] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    check: Callable[[Any], str | None] | None = None,
    each: Callable[[Any], str | None] | None = None,
    made_by: str = "",
) -> Any:
    """A dataclass field that is a setting. Without `default` and `factory` it is required, and not empty.

    Args:
        help: the sentence of the reference.
        choices: the only values there are; for a list, of each entry.
        minimum, maximum: inclusive bounds of a number.
        check: gets the converted value; returns None, or `what is wrong; what to do`. It must not raise.
        each: the same for each entry of a list; `check` is asked about the list when no entry is wrong.
        made_by: of a secret, the command that makes its file, which is `{file}` in it.
    """
    metadata = {"rule": Rule(help, tuple(choices), minimum, maximum, check, each, made_by)}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata, kw_only=True)
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata, kw_only=True)
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


def cross_check(method: CrossCheck) -> CrossCheck:
    """Mark a method as a rule over several fields: it yields a `Problem` for each contradiction.

    Each such method is asked on its own, also when other fields are wrong: one that reads a wrong field ends
    there, and what the others find is still told in the same run.
    """
    vars(method)["is_cross_check"] = True
    return method


def contradictions(made: object) -> Iterator[Problem]:
    """What the rules over several fields find in an instance that was made without `parse`."""
    for check in cross_checks(type(made)):
        yield from check(made)


def cross_checks(cls: type[Any]) -> list[Callable[[Any], Iterable[Problem]]]:
    """The methods marked by `cross_check`, in the order of declaration, those of base classes first."""
    named = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    return [value for value in named.values() if getattr(value, "is_cross_check", False)]


def describe(cls: type[Any]) -> list[SettingDoc]:
    """Every setting below `cls`, in the order of declaration."""
    return list(_describe(cls, ""))


def _describe(cls: type[Any], parent: str) -> Iterator[SettingDoc]:
    hints = hints_of(cls)
    for field in dataclasses.fields(cls):
        kind, key = without_none(hints[field.name]), join(parent, field.name)
        rule: Rule = field.metadata.get("rule", Rule())
        if dataclasses.is_dataclass(kind):
            yield from _describe(typing.cast(type[Any], kind), key)
        elif typing.get_origin(kind) is tuple and dataclasses.is_dataclass(typing.get_args(kind)[0]):
            yield from _describe(typing.get_args(kind)[0], f"{key}[]")
        else:
            named = _type_name(kind)
            if rule.choices:
                named += " out of " + ", ".join(map(_written, rule.choices))
            if rule.minimum is not None or rule.maximum is not None:
                low, high = rule.minimum, rule.maximum
                named += (
                    f" from {low}"
                    if high is None
                    else f" up to {high}"
                    if low is None
                    else f" {low} to {high}"
                )
            yield SettingDoc(key, named, _default_text(field), rule.help, kind is Secret)


def _type_name(kind: Any) -> str:
    names = {
        str: "string",
        int: "integer",
        float: "number",
        bool: "boolean",
        Path: "path",
        Secret: "secret",
        FileText: "text",
    }
    if typing.get_origin(kind) is tuple:
        return f"list of {_type_name(typing.get_args(kind)[0])}s"
    return names.get(kind, "table")


def _default_text(field: "dataclasses.Field[Any]") -> str:
    if has_no_default(field):
        return "required"
    factory = field.default_factory
    value = field.default if factory is dataclasses.MISSING else factory()
    return "unset" if value is None else _written(value)


def _written(value: Any) -> str:
    """A value as the file would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_written(entry)}" for name, entry in value.items()) + "}"
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def variables(cls: type[Any], prefix: str) -> Iterator[str]:
    """The names of all variables below a table: known even while the table is left out."""
    for name, hint in hints_of(cls).items():
        yield from variables_of(name, without_none(hint), prefix)


def variables_of(name: str, kind: Any, prefix: str) -> Iterator[str]:
    """The names of the variables of one setting of this type, or of all below it."""
    variable = prefix + name.upper()
    if dataclasses.is_dataclass(kind):
        yield from variables(typing.cast(type[Any], kind), f"{variable}__")
    else:
        yield from (variable, f"{variable}_FILE") if kind in FILED else (variable,)


def hints_of(cls: type[Any]) -> Mapping[str, Any]:
    """The types of a table's settings, by name."""
    return _hints(typing.cast(Hashable, cls))


@lru_cache(maxsize=256)
def _hints(cls: type[Any]) -> Mapping[str, Any]:
    # They are written as text: worked out once for each table.
    return types.MappingProxyType(typing.get_type_hints(cls))


def has_no_default(field: "dataclasses.Field[Any]") -> bool:
    """Whether leaving the field out is a problem."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def without_none(hint: Any) -> Any:
    """`X` for `X | None`: leaving a setting out is how it is None."""
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return hint
    (kind,) = (argument for argument in typing.get_args(hint) if argument is not types.NoneType)
    return kind


def join(parent: str, name: str) -> str:
    """The dotted key of `name` inside `parent`; at the top `parent` is empty."""
    return f"{parent}.{name}" if parent else name
