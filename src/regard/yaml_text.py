"""YAML text to plain data: mappings, lists, text, numbers, truth values and null, of bounded size.

A few lines of YAML can stand for billions of values (an alias repeats what it names, and may name what repeats), and
PyYAML raises errors of many kinds. Here a text is measured before anything is built from it, and whatever is wrong with
it is one :class:`regard.errors.ConfigError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from regard.errors import ConfigError

MAX_CHARACTERS = 64_000
MAX_VALUES = 20_000
"""How many values a text may stand for, what aliases repeat included."""
MAX_DEPTH = 64
"""How many lists and mappings may lie in each other."""

_PLAIN = {"str", "int", "float", "bool", "null", "map", "seq", "merge"}


def parse_yaml(text: str, *, origin: str) -> Any:
    """The value that ``text`` stands for.

    Args:
        text: YAML.
        origin: what to call it in messages.

    Raises:
        ConfigError: it is not YAML, has a key twice, is too large, or holds something else than plain data, such as a
            date.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{origin}: has {len(text):,} characters", allowed=f"up to {MAX_CHARACTERS:,}")
    try:
        _check_size(text, origin)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        for each in _nodes(node):
            _check_node(each, origin)
        return yaml.safe_load(text)
    except ConfigError:
        raise
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: is not YAML ({error!s:.300})") from None
    except Exception as error:  # PyYAML's constructors raise whatever int(), date() and the like do
        reason = f"{type(error).__name__}: {error!s:.200}"
        raise ConfigError(f"{origin}: holds a value that cannot be read ({reason})") from None


def _check_size(text: str, origin: str) -> None:
    """Refuse what stands for too many values or nests too deep, without building any of it."""
    anchors: dict[str, int] = {}
    open_parts: list[tuple[str | None, int]] = []  # of each list and mapping around: its anchor, its size so far
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        anchor, size = getattr(event, "anchor", None), 1
        if isinstance(event, yaml.CollectionStartEvent):
            open_parts.append((anchor, 1))
            _check_limits(origin, depth=len(open_parts))
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_parts.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ConfigError(f"{origin}: the alias {event.anchor!r:.60} names nothing before it")
            size = anchors[event.anchor]
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            anchors[anchor] = size
        if open_parts:
            around, so_far = open_parts[-1]
            open_parts[-1] = (around, so_far + size)
            _check_limits(origin, values=so_far + size)


def _check_limits(origin: str, *, depth: int = 0, values: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise ConfigError(f"{origin}: nests deeper than {MAX_DEPTH} lists and mappings")
    if values > MAX_VALUES:
        raise ConfigError(f"{origin}: stands for more than {MAX_VALUES:,} values")


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every node once, however often it is repeated."""
    waiting, seen = [root] if root is not None else [], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _check_node(node: yaml.Node, origin: str) -> None:
    """Refuse mappings that hold a key twice, and values that are no plain data."""
    line = node.start_mark.line + 1
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind not in _PLAIN:
        raise ConfigError(
            f"{origin}: line {line} holds a value of the kind {kind:.60}: {node.value!r:.60}",
            allowed="text, numbers, true, false, null, lists and mappings",
            remedy="put text that looks like something else in quotation marks",
        )
    if isinstance(node, yaml.MappingNode):
        counts = Counter((key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for (_, key), count in counts.most_common(1):
            if count > 1:
                raise ConfigError(f"{origin}: the key {key!r:.60} stands twice in the group from line {line} on")
