"""YAML text to plain data: mappings, lists, text, numbers, truth values and null, of bounded size.

A few lines of YAML can stand for billions of values (an alias repeats what it names, and may name what repeats), and
PyYAML raises errors of many kinds. Here a text is measured before anything is built from it, and whatever is wrong with
it is one :class:`regard.errors.ConfigError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import yaml

from regard.errors import ConfigError

MAX_CHARACTERS = 64_000
MAX_VALUES = 20_000
"""How many values a text may stand for, what aliases repeat included."""
MAX_DEPTH = 64
"""How many lists and mappings may lie in each other."""
_TOO_DEEP = f"nests deeper than {MAX_DEPTH} lists and mappings"

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
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, origin, {})
        return loader.construct_document(node)
    except ConfigError:
        raise
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: is not YAML ({error!s:.300})") from None
    except Exception as error:  # PyYAML's constructors raise whatever int(), date() and the like do
        reason = f"{type(error).__name__}: {error!s:.200}"
        raise ConfigError(f"{origin}: holds a value that cannot be read ({reason})") from None


class _Loader(yaml.SafeLoader):
    """Gives up on what nests too deep while it is read."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(_TOO_DEEP)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _measure(node: yaml.Node, origin: str, measured: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Check a node and all in it, each once.

    Args:
        node: as parsed; what an alias repeats is one node in several places.
        origin: for messages.
        measured: the results so far, None for nodes that are being measured.

    Returns:
        How many values it stands for, and how deep they nest.
    """
    if id(node) in measured:
        known = measured[id(node)]
        if known is None:
            raise ConfigError(f"{origin}: line {node.start_mark.line + 1} holds itself, through an alias")
        return known
    measured[id(node)] = None
    _check_node(node, origin)
    values, depth = 1, 0
    for part in _parts(node):
        more, deep = _measure(part, origin, measured)
        values, depth = values + more, max(depth, deep)
        if values > MAX_VALUES:
            raise ConfigError(f"{origin}: stands for more than {MAX_VALUES:,} values")
    depth += isinstance(node, yaml.CollectionNode)
    if depth > MAX_DEPTH:
        raise ConfigError(f"{origin}: {_TOO_DEEP}")
    measured[id(node)] = values, depth
    return values, depth


def _parts(node: yaml.Node) -> Iterable[yaml.Node]:
    """The nodes right inside of one."""
    if isinstance(node, yaml.MappingNode):
        return (part for pair in node.value for part in pair)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


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
