"""How settings get their values: from a mapping, the environment and files; all problems at once.

Next door: `toml_file`, which makes that mapping; `fields`, what a class of settings declares; `values`.
"""

import builtins
import contextlib
import copy
import dataclasses
import difflib
import math
import os
import pathlib
import re
import stat
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from oidcgate.settings.fields import (
    FILED,
    Rule,
    cross_checks,
    describe,
    has_no_default,
    hints_of,
    join,
    variables,
    variables_of,
    without_none,
)
from oidcgate.settings.toml_file import read_toml
from oidcgate.settings.values import Problem, Secret, SettingsError, unreadable

T = TypeVar("T")
#: A rule over several fields: what it finds in an instance of a class of settings.
Check = Callable[[Any], Iterable[Problem]]

_FILE_LIMIT = 65_536
# Kubernetes sets these in each container beside a service of the same name; refusing them would stop the pod.
_SERVICE_LINK = re.compile(r"SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_NOT_BOOLEAN = ("is not a boolean", "write true or false")
_NOT_INTEGER = ("is not an integer", "write digits without quotes")


class _Unset:
    """A field that was not given, or whose problem is noted."""


_UNSET: Final = _Unset()


class _Unread(Exception):
    """A rule asks for a field whose own problem is noted already."""


def load(
    cls: type[T],
    path: str | os.PathLike[str],
    *,
    env: Mapping[str, str],
    env_prefix: str,
    checks: Iterable[Check] = (),
) -> T:
    """Read a TOML file and the environment into `cls`.

    Args:
        checks: further rules, see `parse`.

    Raises:
        SettingsError: with every problem; of a file that is missing or is no TOML, there is but one.
    """
    file = Path(path)
    return parse(cls, read_toml(file), env=env, env_prefix=env_prefix, base_dir=file.parent, checks=checks)


def parse(
    cls: type[T],
    data: Mapping[str, Any],
    *,
    env: Mapping[str, str] = types.MappingProxyType({}),
    env_prefix: str = "",
    base_dir: Path | None = None,
    checks: Iterable[Check] = (),
) -> T:
    """Fill the dataclass `cls` from `data`, with single keys overridden from `env`.

    A variable is the prefix and the key in capitals, with `__` between tables; an empty one counts as not
    set. Variables with the prefix that name no setting are problems, but for `PREFIX` + `CONFIG` (the file
    itself) and Kubernetes service links. What is None in `data` counts as not given. Relative paths are taken
    from `base_dir`. Rules over several fields (`cross_check`) are asked about those that are right.

    Args:
        checks: rules that are not those of `cls` itself but of whoever reads it here. As with `cross_check`,
            each is asked also when some fields are wrong, and ends where it reads one of those.

    Raises:
        SettingsError: with every problem found.
    """
    reader = _Reader(cls, env, env_prefix, base_dir)
    result = reader.table(cls, data, "", env_prefix)
    reader.unknown_variables()
    reader.ask(checks, result, "")
    if reader.problems:
        raise SettingsError(reader.problems)
    return typing.cast(T, result)


def _partial(cls: type[T], values: Mapping[str, Any], broken: Iterable[str]) -> T:
    """An instance of which the broken fields cannot be read; it lives for the rules over the other ones."""

    def unread(_: object) -> Any:
        raise _Unread

    view = type(cls.__name__, (cls,), {name: property(unread) for name in broken})
    made = typing.cast(T, object.__new__(view))
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # every class of settings is a dataclass
        if field.name in values:
            object.__setattr__(made, field.name, values[field.name])
        elif field.name not in broken:
            factory = field.default_factory
            default = field.default if factory is dataclasses.MISSING else factory()
            object.__setattr__(made, field.name, default)
    return made


class _Reader:
    """One run over one configuration; gathers problems and goes on."""

    def __init__(
        self, root: type[Any], env: Mapping[str, str], env_prefix: str, base_dir: Path | None
    ) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._env = {name: text for name, text in env.items() if text and name.startswith(env_prefix)}
        self._env_prefix = env_prefix
        self._base_dir = base_dir or Path()
        self._known_variables = frozenset(variables(root, env_prefix))

    def table(self, cls: type[Any], data: object, key: str, prefix: str | None) -> Any:
        """An instance of `cls`, only partly readable where there are problems; _UNSET if it is no table.

        `prefix` starts its variables' names; None: it has none.
        """
        if not isinstance(data, Mapping):
            heading = f"[[{key.rpartition('[')[0]}]]" if key.endswith("]") else f"[{key}]"
            return self._wrong(key, data, "is not a table", f"write it as {heading}")
        hints = hints_of(cls)
        spelled = {field.name: _spellings(field.name, hints[field.name]) for field in dataclasses.fields(cls)}
        known = {name for names in spelled.values() for name in names}
        unknown = [str(name) for name in data if name not in known]
        meant = {near for name in unknown for near in _near(name, known)}
        values: dict[str, Any] = {}
        broken: set[str] = set()
        for field in dataclasses.fields(cls):
            kind, names = without_none(hints[field.name]), spelled[field.name]
            if meant.intersection(names) and not self._is_given(field.name, kind, names, data, prefix):
                # It is there under a misspelt name, which is told below: one mistake is told once.
                broken.add(field.name)
                continue
            before = len(self.problems)
            value = self._field(field, kind, data, join(key, field.name), prefix)
            if value is not _UNSET:
                values[field.name] = value
            elif len(self.problems) > before:
                broken.add(field.name)
        for name in unknown:
            self._unknown_key(join(key, name), name, known)
        made = _partial(cls, values, broken) if broken else cls(**values)
        self.ask(cross_checks(cls), made, key)
        return made

    def _is_given(
        self, name: str, kind: Any, spellings: Iterable[str], data: Mapping[str, Any], prefix: str | None
    ) -> bool:
        by_variable = () if prefix is None else variables_of(name, kind, prefix)
        return any(spelling in data for spelling in spellings) or any(v in self._env for v in by_variable)

    def ask(self, checks: Iterable[Check], made: object, key: str) -> None:
        """Note what rules say about a table that may be readable only in parts."""
        for check in checks:
            with contextlib.suppress(_Unread):
                for problem in check(made):
                    self.problems.append(problem._replace(key=join(key, problem.key)))

    def unknown_variables(self) -> None:
        """Report variables that carry the prefix and set nothing: most are typing errors."""
        if not self._env_prefix:
            return
        for name in sorted(self._env):
            rest = name.removeprefix(self._env_prefix)
            if name in self._known_variables or rest == "CONFIG" or _SERVICE_LINK.fullmatch(rest):
                continue
            near = difflib.get_close_matches(name, self._known_variables, n=1)
            fix = f"did you mean {near[0]}?" if near else "remove it"
            self._wrong(name, None, "is a variable that sets nothing", fix)

    def _field(
        self,
        field: "dataclasses.Field[Any]",
        kind: Any,
        data: Mapping[str, Any],
        key: str,
        prefix: str | None,
    ) -> Any:
        """The value of one field; _UNSET when the default holds or a problem was noted."""
        rule: Rule = field.metadata.get("rule", Rule())
        required = has_no_default(field)
        variable = None if prefix is None else prefix + field.name.upper()
        if dataclasses.is_dataclass(kind):
            return self._nested(typing.cast(type[Any], kind), field.name, data, key, variable, required)
        before = len(self.problems)
        if kind in FILED:
            value = self._filed(kind, data, field.name, key, variable, rule.made_by)
        else:
            value = self._plain(kind, data.get(field.name), key, variable)
        if value is _UNSET:
            if required and len(self.problems) == before:
                by_variable = f" or {variable}" if variable and self._env_prefix else ""
                return self._wrong(key, None, "is missing", f"set {key}{by_variable}")
            return _UNSET
        if required and isinstance(value, str | Secret) and not value:
            return self._wrong(key, None, "is empty", f"give {key} a value")
        return self._ruled(rule, value, key, secret=kind is Secret)

    def _nested(
        self,
        kind: type[Any],
        name: str,
        data: Mapping[str, Any],
        key: str,
        variable: str | None,
        required: bool,
    ) -> Any:
        below = None if variable is None else f"{variable}__"
        given = data.get(name)
        in_env = below is not None and any(candidate.startswith(below) for candidate in self._env)
        if given is None and not in_env and not required:
            return _UNSET
        return self.table(kind, {} if given is None else given, key, below)

    def _plain(self, kind: Any, given: object, key: str, variable: str | None) -> Any:
        if variable is not None and variable in self._env:
            return self._from_text(kind, self._env[variable], key, variable)
        return _UNSET if given is None else self._convert(kind, given, key)

    def _from_text(self, kind: Any, text: str, key: str, variable: str) -> Any:
        value: Any = text
        if kind is bool and text.lower() in _TRUE | _FALSE:
            value = text.lower() in _TRUE
        elif kind is int and _INTEGER.fullmatch(text):
            value = int(text)
        elif kind is float and _DECIMAL.fullmatch(text):
            value = float(text)
        elif kind == tuple[str, ...]:
            value = [part for part in re.split(r"[\s,]+", text) if part]
        elif kind not in (bool, int, float, str, Path):
            return self._wrong(key, None, f"cannot be set by {variable}", "set it in the file")
        before = len(self.problems)
        converted = self._convert(kind, value, key)
        self.problems[before:] = [
            problem._replace(message=f"(from {variable}) {problem.message}")
            for problem in self.problems[before:]
        ]
        return converted

    def _convert(self, kind: Any, value: object, key: str) -> Any:
        match kind:
            # A bool is an int to Python; to the reader of a configuration `workers = true` is a mistake.
            case builtins.bool:
                return value if isinstance(value, bool) else self._wrong(key, value, *_NOT_BOOLEAN)
            case builtins.int:
                plain = isinstance(value, int) and not isinstance(value, bool)
                return value if plain else self._wrong(key, value, *_NOT_INTEGER)
            case builtins.float:
                return self._number(value, key)
            case builtins.str:
                return self._text(value, key)
            case pathlib.Path:
                return self._path(value, key)
        origin = typing.get_origin(kind)
        if origin is tuple:
            return self._sequence(typing.get_args(kind)[0], value, key)
        if origin is Mapping:
            return self._mapping(value, key)
        raise TypeError(f"{key}: a setting cannot have the type {kind!r}")

    def _number(self, value: object, key: str) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
        like = value if isinstance(value, str) and _DECIMAL.fullmatch(value) else "0.5"
        return self._wrong(
            key, value, "is not a finite number", f"write a number without quotes, such as {like}"
        )

    def _text(self, value: object, key: str) -> Any:
        if not isinstance(value, str):
            return self._wrong(key, value, "is not a string", "write it in quotes")
        if not _is_unicode(value):
            return self._wrong(key, value, "is not valid UTF-8", "write it in UTF-8")
        return value

    def _path(self, value: object, key: str) -> Any:
        text = os.fspath(value) if isinstance(value, Path) else value
        if not isinstance(text, str) or not text or "\0" in text or not _is_unicode(text):
            return self._wrong(key, value, "is not a path", "write the file's name in quotes")
        return self._base_dir / text

    def _sequence(self, kind: Any, value: object, key: str) -> Any:
        if not isinstance(value, list | tuple):
            how = f"write it as [[{key}]]" if dataclasses.is_dataclass(kind) else "write it in [ ]"
            return self._wrong(key, value, "is not a list", how)
        entries = [(f"{key}[{index}]", entry) for index, entry in enumerate(value)]
        if dataclasses.is_dataclass(kind):
            made = tuple(
                self.table(typing.cast(type[Any], kind), entry, name, None) for name, entry in entries
            )
        else:
            made = tuple(self._convert(kind, entry, name) for name, entry in entries)
        return _UNSET if any(entry is _UNSET for entry in made) else made

    def _mapping(self, value: object, key: str) -> Any:
        if not isinstance(value, Mapping):
            return self._wrong(key, value, "is not a table", f"write it as [{key}]")
        if not all(isinstance(name, str) for name in value):
            return self._wrong(key, None, "holds a key that is not a string", "write its keys in quotes")
        return types.MappingProxyType(copy.deepcopy(dict(value)))

    def _filed(
        self, kind: Any, data: Mapping[str, Any], name: str, key: str, variable: str | None, made_by: str
    ) -> Any:
        """A value from its variable, its variable's file, the configuration or the file that one names."""
        sources = [(key, data.get(name), f"{key}_file", data.get(f"{name}_file"))]
        if variable is not None:
            in_env = self._env.get(variable), self._env.get(f"{variable}_FILE")
            sources.insert(0, (variable, in_env[0], f"{variable}_FILE", in_env[1]))
        for text_name, text, file_name, file in sources:
            if text is not None and file is not None:
                return self._wrong(
                    key, None, f"is given twice, by {text_name} and {file_name}", "keep one of them"
                )
            if file is not None:
                path = self._path(file, file_name)
                return _UNSET if path is _UNSET else self._file(kind, path, file_name, made_by)
            if isinstance(text, kind):
                return text
            if text is not None:
                valid = isinstance(text, str) and _is_unicode(text)
                return (
                    kind(text) if valid else self._wrong(key, None, "is not a string", "write it in quotes")
                )
        return _UNSET

    def _file(self, kind: Any, path: Path, key: str, made_by: str) -> Any:
        noun = "secret" if kind is Secret else "text"
        try:
            # Not blocking: opening a named pipe would wait for its writer.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return self._wrong(
                        key, str(path), "is not a regular file", f"name a file that holds the {noun}"
                    )
                # A group may read: orchestrators hand a secret to a process through its group.
                if kind is Secret and status.st_mode & 0o037:
                    return self._wrong(
                        key,
                        str(path),
                        "can be read by others, or written by its group",
                        f"run chmod 600 {path}",
                    )
                content = file.read(_FILE_LIMIT + 1)
        except OSError as error:
            if_missing = made_by.format(file=path) if made_by else "create it"
            return self._wrong(key, str(path), *unreadable(error, f"{if_missing}, or name another"))
        try:
            text = content.decode().strip()
        except UnicodeDecodeError:
            return self._wrong(key, str(path), "is not UTF-8 text", f"write the {noun} as UTF-8")
        if not text and made_by:
            return self._wrong(key, str(path), "is empty", made_by.format(file=path))
        if not text or len(content) > _FILE_LIMIT:
            what = "is larger than 64 KB" if text else "is empty"
            return self._wrong(key, str(path), what, f"put the {noun}, and nothing else, into it")
        return kind(text)

    def _ruled(self, rule: Rule, value: Any, key: str, *, secret: bool) -> Any:
        if rule.choices:
            for entry in value if isinstance(value, tuple) else (value,):
                if entry not in rule.choices:
                    allowed = ", ".join(map(repr, rule.choices))
                    near = difflib.get_close_matches(
                        str(entry), [str(choice) for choice in rule.choices], n=1
                    )
                    fix = f"did you mean {near[0]!r}?" if near else "use one of them"
                    return self._wrong(key, entry, f"is not one of {allowed}", fix)
        if rule.minimum is not None and value < rule.minimum:
            return self._wrong(key, value, f"is less than {rule.minimum}", f"use {rule.minimum} or more")
        if rule.maximum is not None and value > rule.maximum:
            return self._wrong(key, value, f"is more than {rule.maximum}", f"use {rule.maximum} or less")
        if rule.each is not None:
            entries = [
                self._judged(rule.each, entry, f"{key}[{index}]", rule.help)
                for index, entry in enumerate(value)
            ]
            if any(entry is _UNSET for entry in entries):
                return _UNSET
        if rule.check is not None:
            return self._judged(rule.check, value, key, rule.help, secret=secret)
        return value

    def _judged(
        self, check: Callable[[Any], str | None], value: Any, key: str, help: str, *, secret: bool = False
    ) -> Any:
        if (wrong := check(value)) is None:
            return value
        message, _, fix = wrong.partition("; ")
        return self._wrong(key, None if secret else value, message, fix or help)

    def _unknown_key(self, key: str, name: str, known: Iterable[str]) -> None:
        # The value stays unsaid: under a mistyped name it may be a secret.
        elsewhere = [doc.key for doc in describe(self._root) if doc.key.rpartition(".")[2] == name]
        near = _near(name, known)
        if near:
            fix = f"did you mean {near[0]!r}?"
        elif elsewhere:
            # The usual cause: a key of the top level written below the first [table].
            table = elsewhere[0].rpartition(".")[0]
            fix = f"it belongs to [{table}]" if table else "it belongs before the first [table]"
        else:
            fix = "remove it"
        self._wrong(key, None, "is not a setting", fix)

    def _wrong(self, key: str, value: object, message: str, fix: str) -> _Unset:
        self.problems.append(Problem(key, value, message, fix))
        return _UNSET


def _spellings(name: str, hint: Any) -> tuple[str, ...]:
    """The keys by which a file can give a setting."""
    return (name, f"{name}_file") if without_none(hint) in FILED else (name,)


def _near(name: str, known: Iterable[str]) -> list[str]:
    """The setting that was meant, if one can be told."""
    return difflib.get_close_matches(name, known, n=1)


def _is_unicode(text: str) -> bool:
    # The environment gives lone surrogates for bytes that are no UTF-8.
    return not any("\ud800" <= character <= "\udfff" for character in text)
