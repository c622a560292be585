"""Imports run one way, and what is heavy or optional is imported only where it is used."""

from __future__ import annotations

import ast
import functools
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import regard

PACKAGE = Path(regard.__file__).parent

LAYERS = (
    {"errors"},
    {"yaml_text", "registry"},
    {"config", "files", "progress", "compute", "composed_attention", "faithfulness", "packed_weights"},
    {"result_views"},
    {"annotations", "ops", "scores"},
    {"attention"},
    {"text"},
    {"data"},
    {"encoders"},
    {"cache", "decoders"},
    {"fast"},
    {"model"},
    {"search"},
    {"metrics"},
    {"results"},
    {"evidence", "views"},
    {"saved"},
    {"training"},
    {"parallel"},
    {"pipeline"},
    {"evaluation"},
    {"serve"},
    {"cli"},
    {"__main__"},
)
"""The rooms of the package, from the lowest up. A room imports from lower layers and from its own room alone."""
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}

NEVER_AT_MODULE_LEVEL = {"torchvision", "timm", "matplotlib", "ray", "onnx", "onnxruntime", "onnxscript"}
OPTIONAL = {
    "skimage",
    "sklearn",
    "pycocoevalcap",
    "tensorboard",
    "sacremoses",
    "triton",
    "fastapi",
    "starlette",
    "uvicorn",
}

WRITTEN_FOR = {
    "ops.triton_additive": {"triton"},
    "serve.app": {"fastapi", "starlette"},
    "serve.server": {"uvicorn"},
}
"""Modules that are nothing without an optional package; what needs them imports them where it uses them."""

DRAWERS = {"utils", "util", "helpers", "helper", "misc", "common"}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name without ``regard.``; the package itself is left out."""
    paths = {path.relative_to(PACKAGE).with_suffix(""): path for path in sorted(PACKAGE.rglob("*.py"))}
    names = {".".join(part for part in name.parts if part != "__init__"): path for name, path in paths.items()}
    return {name: path for name, path in names.items() if name}


MODULES = modules()


def statements(node: ast.AST, *, everywhere: bool) -> Iterator[ast.AST]:
    """All nodes below ``node``; unless ``everywhere``, without functions and without what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if not everywhere and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.orelse:
                yield statement
                yield from statements(statement, everywhere=everywhere)
        elif everywhere or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from statements(child, everywhere=everywhere)


def imported(path: Path, *, everywhere: bool) -> set[str]:
    """Absolute dotted names that a file imports; ``from a import b`` gives ``a.b``."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in statements(tree, everywhere=everywhere):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module_of(name: str) -> str:
    """The module that a dotted name lies in: the longest part of it that is one, without ``regard.``."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts)


@functools.cache
def graph() -> dict[str, set[str]]:
    """The modules of ours that each module imports, wherever in its file, for running or for types."""
    edges: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        ours = {each for each in imported(path, everywhere=True) if each.split(".")[0] == "regard"}
        edges[name] = {module_of(each) for each in ours - {"regard.__version__"}} - {name}
    return edges


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Nodes that reach one another, after the leaves and the roots are taken away again and again."""
    left = {node: set(targets) for node, targets in edges.items()}
    while True:
        reached = set().union(*left.values()) if left else set()
        inner = {node for node, targets in left.items() if targets & left.keys() and node in reached}
        if inner == left.keys():
            return [sorted(left)] if left else []
        left = {node: left[node] & inner for node in inner}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_belongs_to_a_layer(name: str) -> None:
    assert name.split(".")[0] in RANK


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name: str) -> None:
    room = name.split(".")[0]
    for each in graph()[name]:
        assert each, f"{name} imports from the package itself; import from the module that defines it"
        other = each.split(".")[0]
        assert other == room or RANK[other] < RANK[room], f"{name} imports {each!r}, which does not lie below it"


def test_no_modules_import_one_another() -> None:
    assert circles(graph()) == []


def test_circles_are_found() -> None:
    straight = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert circles(straight) == []
    assert circles({**straight, "c": {"d"}, "d": {"b"}, "e": {"b"}}) == [["b", "c", "d"]]


@pytest.mark.parametrize("name", MODULES)
def test_optional_packages_are_imported_where_they_are_used(name: str) -> None:
    packages = {each.split(".")[0] for each in imported(MODULES[name], everywhere=False)}
    assert not packages & (NEVER_AT_MODULE_LEVEL | OPTIONAL) - WRITTEN_FOR.get(name, set())
    written_for = tuple(f"regard.{module}" for module in WRITTEN_FOR)
    assert not any(each.startswith(written_for) for each in imported(MODULES[name], everywhere=False))


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_a_drawer(name: str) -> None:
    assert not DRAWERS & {part.strip("_") for part in name.split(".")}


def test_the_walk_sees_every_import(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
        "try:\n    import c.d\nexcept ImportError:\n    pass\n"
        "class C:\n    import e\n    def f(self):\n        from g import h\n"
        "async def i():\n    import j\n"
    )
    running = {"typing.TYPE_CHECKING", "b", "c.d", "e"}
    assert imported(file, everywhere=False) == running
    assert imported(file, everywhere=True) == running | {"a", "g.h", "j"}


@pytest.mark.parametrize(
    "statement",
    [
        "import regard",
        "import regard; regard.RegardError; dir(regard); regard.__version__",
        "from regard.cli import main; main(['--help'])",
        "from regard.cli import main; main(['--version'])",
        "from regard.cli import main; main(['no-such-command'])",
    ],
)
def test_starts_without_heavy_packages(statement: str) -> None:
    heavy = "{'torch', 'numpy', 'PIL', 'tokenizers', 'sacrebleu', 'rich'}"
    code = f"{statement}\nimport sys\nloaded = {heavy} & set(sys.modules)\nassert not loaded, loaded"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("package", ["", "metrics", "pipeline", "text"])
def test_no_name_that_is_imported_when_used_is_that_of_a_module(package: str) -> None:
    # importing the module would put it in the place of what it defines
    names = importlib.import_module(f"regard.{package}".rstrip(".")).__all__
    modules = {path.stem for path in (PACKAGE / package).iterdir()}
    assert not set(names) & modules
