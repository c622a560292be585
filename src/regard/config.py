"""Settings: strict pydantic models, YAML files and ``--set a.b=c``.

Every configurable part keeps its own settings beside it, as a subclass of :class:`Settings`; this file knows only how
settings are read, overridden and refused. All problems of a file are reported at once, each with its path, and an
unknown key comes with the nearest known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from regard.errors import ConfigError, shown
from regard.registry import Registry
from regard.yaml_text import MAX_CHARACTERS, MAX_DEPTH, parse_yaml

MAX_SEED = 2**32 - 1
"""The largest seed that every source of random numbers takes."""
MAX_PROBLEMS = 10
"""How many problems of one file are described; the others are counted."""


class Settings(BaseModel):
    """The base of all settings: immutable, no unknown keys, no silent conversions between kinds of values.

    Every number has a lower and an upper bound, and is finite: what cannot be built or would never end is refused when
    it is read (a test walks all settings).
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        protected_namespaces=(),
        allow_inf_nan=False,
        str_max_length=4096,
    )


class PartSettings(Settings):
    """Settings of a part that comes in several kinds; ``name`` says which. Each kind narrows it to its own name."""

    name: str


class ByName:
    """Annotates a field that holds the settings of one of several kinds: ``Annotated[PartSettings, ByName(...)]``.

    The settings class is imported when its name is first used.

    Args:
        kinds: by name, classes with an attribute ``settings_class``.
        default: the entry for names that are not in the registry; None refuses them.
    """

    def __init__(self, kinds: Registry[Any], *, default: str | None = None) -> None:
        self._kinds, self._default = kinds, default

    def settings_class(self, name: str) -> type[PartSettings]:
        """The settings class of a kind.

        Raises:
            ConfigError: there is no such kind.
        """
        unknown = self._default is not None and name not in self._kinds
        found: type[PartSettings] = self._kinds[self._default if unknown and self._default else name].settings_class
        return found

    def settings_classes(self) -> list[type[PartSettings]]:
        """Those of all kinds."""
        return list(dict.fromkeys(self.settings_class(name) for name in self._kinds))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, value: Any) -> PartSettings:
        if isinstance(value, PartSettings):
            return value
        name = value.get("name", self._default) if isinstance(value, Mapping) else None
        if not isinstance(name, str):
            raise PydanticCustomError("name_missing", "give a mapping with a 'name'")
        try:
            kind = self.settings_class(name)
        except ConfigError as error:
            raise PydanticCustomError("name_unknown", str(error).replace("{", "{{")) from None
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            problems = [_within(name, each) for each in error.errors()]
            raise ValidationError.from_exception_data(kind.__name__, problems) from None


class OneOf:
    """Annotates a field that holds a name of a registry: ``Annotated[str, OneOf(...)]``."""

    def __init__(self, names: Registry[Any]) -> None:
        self.names = names

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._validate, core_schema.str_schema(strict=True))

    def _validate(self, name: str) -> str:
        if name not in self.names:
            allowed = ", ".join(map(repr, self.names))
            raise PydanticCustomError("one_of", "input should be one of {allowed}", {"allowed": allowed})
        return name


def _within(name: str, problem: Any) -> InitErrorDetails:
    """A problem of a part with the part's name in its path."""
    kind = PydanticCustomError(problem["type"], problem["msg"])
    return InitErrorDetails(type=kind, loc=(name, *problem["loc"]), input=problem["input"])


SettingsType = TypeVar("SettingsType", bound=Settings)


def parse(kind: type[SettingsType], values: Mapping[str, Any], *, origin: str) -> SettingsType:
    """Check ``values`` against ``kind``.

    Args:
        kind: the settings class.
        values: plain data, as YAML or JSON gives it.
        origin: what to call the source in messages, such as a file name.

    Raises:
        ConfigError: one line that lists every problem, each with its dotted path.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [_describe(kind, dict(problem)) for problem in found[:MAX_PROBLEMS]]
        others = [f"and {len(found) - MAX_PROBLEMS} more"] if len(found) > MAX_PROBLEMS else []
        raise ConfigError(f"{origin}: " + "; ".join([*problems, *others])) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: the file is missing, is not UTF-8 or YAML, or holds something other than a mapping (see
            :mod:`regard.yaml_text`).
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file", remedy="give the path of a recipe, such as recipes/flickr8k.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    values = parse_yaml(text, origin=str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no mapping", allowed="a YAML file of 'key: value' lines")
    return values


def override(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Apply ``a.b=c`` assignments to plain data, or ``a.0.b=c`` into a list; the right side is read as YAML.

    Raises:
        ConfigError: an assignment has no ``=``, or goes through something that is not a mapping.
    """
    result = dict(values)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys) or len(keys) > MAX_DEPTH:
            raise ConfigError(
                f"--set {assignment:.200}: is not an assignment", allowed="KEY=VALUE, such as optim.lr=3e-4"
            )
        result = _assign(result, keys, _scalar(text, assignment), assignment)
    return result


def _assign(values: Any, keys: list[str], value: Any, assignment: str) -> Any:
    """``values`` with what lies under ``keys`` replaced; a number counts the entries of a list from 0."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(values, dict):
        return {**values, key: _assign(values.get(key, {}), rest, value, assignment)}
    if not isinstance(values, list):
        raise ConfigError(f"--set {assignment:.200}: there is no group of settings that holds {key!r}")
    if not (key.isdecimal() and len(key) < 10 and int(key) < len(values)):
        allowed = f"numbers from 0 to {len(values) - 1}" if values else "none, the list is empty"
        raise ConfigError(f"--set {assignment:.200}: {key!r} is no entry of the list", allowed=allowed)
    return [_assign(each, rest, value, assignment) if i == int(key) else each for i, each in enumerate(values)]


def _scalar(text: str, assignment: str) -> Any:
    value = parse_yaml(text, origin=f"--set {assignment:.80}")
    if isinstance(value, str):
        # YAML 1.1 reads 3e-4 as a word, people read it as a number
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _describe(kind: type[Settings], problem: dict[str, Any]) -> str:
    location = [part[:80] for part in problem["loc"] if isinstance(part, str)]
    path = ".".join(f"{part!s:.80}" for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden" and location:
        known = _known_keys(kind, location[:-1])
        nearest = difflib.get_close_matches(location[-1], known, n=1)
        hint = (
            f", did you mean {nearest[0]!r}?" if nearest else f", allowed: {', '.join(sorted(known))}" if known else ""
        )
        return f"{path} is unknown{hint}"
    given = "" if problem["type"] == "missing" else f" (given: {shown(problem['input'])})"
    message = problem["msg"][:400]
    return f"{path}: {message[:1].lower()}{message[1:]}{given}"


def _known_keys(kind: type[Settings], path: list[str]) -> list[str]:
    """The keys allowed at ``path`` inside ``kind``; tags of unions in the path are followed by name."""
    kinds: list[type[Settings]] = [kind]
    for key in path:
        inner = [found for each in kinds for found in _settings_in(each, key)]
        kinds = inner or [each for each in kinds if _tag(each) == key] or kinds
    return sorted({name for each in kinds for name in each.model_fields})


def _settings_in(kind: type[Settings], key: str) -> list[type[Settings]]:
    field = kind.model_fields.get(key)
    return [] if field is None else inner_settings(field)


def inner_settings(field: FieldInfo) -> list[type[Settings]]:
    """The settings classes that a field may hold."""
    by_name: list[type[Settings]] = [
        each for metadata in field.metadata if isinstance(metadata, ByName) for each in metadata.settings_classes()
    ]
    return by_name or _flatten(field.annotation)


def _flatten(annotation: Any) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _flatten(part)]


def _tag(kind: type[Settings]) -> str | None:
    field = kind.model_fields.get("name")
    return None if field is None else str(field.default)
