"""Fingerprints of code: what decides a stage's output, and nothing else (reruns)."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]
REGISTRIES = "mutdet.settings.registries"


def code_fingerprint(modules: Iterable[str]) -> str:
    """Hash over the import closure, inside the package, of some modules.

    Comments, docstrings, formatting and the `description` texts of settings do not count; registries are left out.
    """
    digest = hashlib.sha256()
    for name in sorted(import_closure(modules)):
        digest.update(f"{name}\n{_read(_source(name)).meaning}\n".encode())
    return digest.hexdigest()[:16]


def import_closure(modules: Iterable[str]) -> set[str]:
    """Names of all modules of the package that some modules import, directly or not, themselves included."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name == REGISTRIES:
            continue
        found.add(name)
        waiting.extend(_read(_source(name)).imports)
    return found


def _source(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class _Module(NamedTuple):
    """What a module is to fingerprints: names of the package's modules that it imports, and its code without texts."""

    imports: tuple[str, ...]
    meaning: str


@cache
def _read(path: Path) -> _Module:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return _Module(_imports(tree), ast.dump(_WithoutTexts().visit(tree), include_attributes=False))


def _imports(tree: ast.Module) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] == "mutdet" and _source(name).is_file())


class _WithoutTexts(ast.NodeTransformer):
    """Removes docstrings, other strings that stand alone, and description arguments."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)
