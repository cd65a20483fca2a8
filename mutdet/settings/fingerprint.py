"""Fingerprints of code: what decides a stage's output, and nothing else (reruns)."""

import ast
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]
REGISTRIES = "mutdet.settings.registries"
_FILE_NAME = re.compile(r"\w[\w-]*\.[a-z]+")


def code_fingerprint(modules: Iterable[str]) -> str:
    """Hash over the import closure, inside the package, of some modules.

    Comments, docstrings, formatting and the `description` texts of settings do not count; registries are left out.
    Files that a module names and that lie beside it, such as a template, count byte by byte.
    """
    digest = hashlib.sha256()
    for name in sorted(import_closure(modules)):
        module = _read(_source(name))
        digest.update(f"{name}\n{module.meaning}\n".encode())
        for path in module.files:
            digest.update(path.read_bytes())
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
    """What a module is to fingerprints: names of the package's modules that it imports, its code without texts, and other files beside it that it names."""

    imports: tuple[str, ...]
    meaning: str
    files: tuple[Path, ...]


@cache
def _read(path: Path) -> _Module:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = _imports(tree)
    code = _WithoutTexts().visit(tree)
    return _Module(imports, ast.dump(code, include_attributes=False), _files(code, path.parent))


def _imports(tree: ast.Module) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] == "mutdet" and _source(name).is_file())


def _files(code: ast.Module, folder: Path) -> tuple[Path, ...]:
    texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return tuple(folder / name for name in sorted(texts) if _FILE_NAME.fullmatch(name) and (folder / name).is_file())


class _WithoutTexts(ast.NodeTransformer):
    """Removes docstrings, other strings that stand alone, and description arguments."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)
