"""Imports run one way, and what is heavy or optional is imported only where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import regard

PACKAGE = Path(regard.__file__).parent

LAYERS = (
    {"errors", "config", "registry"},
    {"devices", "files", "progress", "annotations", "attention", "ops", "text", "data"},
    {"encoders", "decoders", "fast"},
    {"model", "search"},
    {"metrics", "evidence", "results", "views", "saved", "training"},
    {"pipeline", "parallel", "evaluation"},
    {"cli", "serve", "__main__"},
)
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}

NEVER_AT_MODULE_LEVEL = {"torchvision", "timm", "matplotlib", "ray", "onnx", "onnxruntime", "onnxscript"}
OPTIONAL = {"skimage", "pycocoevalcap", "tensorboard", "sacremoses", "triton"}

WRITTEN_FOR = {"ops.triton_additive": {"triton"}}
"""Modules that are nothing without an optional package; what needs them imports them where it uses them."""

DRAWERS = {"utils", "util", "helpers", "helper", "misc", "common"}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name without ``regard.``; the package itself is left out."""
    paths = {path.relative_to(PACKAGE).with_suffix(""): path for path in sorted(PACKAGE.rglob("*.py"))}
    names = {".".join(part for part in name.parts if part != "__init__"): path for name, path in paths.items()}
    return {name: path for name, path in names.items() if name}


MODULES = modules()


def running_statements(node: ast.AST, *, inside_functions: bool) -> Iterator[ast.AST]:
    """All nodes below ``node`` but those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.orelse:
                yield statement
                yield from running_statements(statement, inside_functions=inside_functions)
        elif inside_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from running_statements(child, inside_functions=inside_functions)


def imported(path: Path, *, inside_functions: bool) -> set[str]:
    """Absolute dotted names that a file imports; ``from a import b`` gives ``a.b``."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in running_statements(tree, inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", MODULES)
def test_every_module_belongs_to_a_layer(name: str) -> None:
    assert name.split(".")[0] in RANK


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name: str) -> None:
    rank = RANK[name.split(".")[0]]
    ours = {each for each in imported(MODULES[name], inside_functions=True) if each.split(".")[0] == "regard"}
    for each in ours - {"regard.__version__"}:
        part = each.split(".")[1] if "." in each else ""
        assert part in RANK, f"{name} imports {each!r}; import from the module that defines it"
        assert RANK[part] <= rank, f"{name} imports {each!r}, which lies above it"


@pytest.mark.parametrize("name", MODULES)
def test_optional_packages_are_imported_where_they_are_used(name: str) -> None:
    packages = {each.split(".")[0] for each in imported(MODULES[name], inside_functions=False)}
    assert not packages & (NEVER_AT_MODULE_LEVEL | OPTIONAL) - WRITTEN_FOR.get(name, set())
    written_for = tuple(f"regard.{module}" for module in WRITTEN_FOR)
    assert not any(each.startswith(written_for) for each in imported(MODULES[name], inside_functions=False))


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_a_drawer(name: str) -> None:
    assert not DRAWERS & {part.strip("_") for part in name.split(".")}


def test_the_walk_sees_imports_in_functions_and_not_those_of_type_checkers(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
        "try:\n    import c.d\nexcept ImportError:\n    pass\n"
        "class C:\n    import e\n    def f(self):\n        from g import h\n"
        "async def i():\n    import j\n"
    )
    outside = {"typing.TYPE_CHECKING", "b", "c.d", "e"}
    assert imported(file, inside_functions=False) == outside
    assert imported(file, inside_functions=True) == outside | {"g.h", "j"}


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
