"""Imports point down one list of layers only, and settings stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mutdet"
LAYERS = [
    *("cli", "stages", "reporting", "evaluation", "training", "pretraining", "detectors"),
    *("nn", "embedding", "proposals", "data", "tables", "geometry", "settings"),
]
BOTTOM = {"geometry", "tables", "settings"}


def layer(module):
    return "cli" if module in ("mutdet.cli", "mutdet.__main__") else module.split(".")[1]


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    module = ".".join(("mutdet", *path.relative_to(PACKAGE).with_suffix("").parts))
    if path == PACKAGE / "__init__.py":
        return
    own = layer(module)
    for name in imported_modules(path):
        if not name.startswith("mutdet."):
            continue
        other = layer(name)
        if own in BOTTOM:
            assert other in (own, "settings"), f"{module} imports {name}"
        else:
            assert LAYERS.index(other) >= LAYERS.index(own), f"{module} imports {name}"


def test_settings_and_command_line_import_neither_torch_nor_cv2():
    code = "import sys, mutdet.cli, mutdet.settings.layout; mutdet.cli.build_parser(); sys.exit(bool({'torch', 'cv2', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("stage", ["scenes", "partition", "boxes", "pseudo_labels", "detect_merge", "evaluate", "tables", "report_tiles"])
def test_a_stage_without_a_network_starts_without_pytorch(stage):
    code = f"import sys, mutdet.cli, mutdet.stages.{stage}; sys.exit(bool({{'torch', 'sklearn'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
