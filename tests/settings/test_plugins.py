"""A method with settings of its own is two files and one line: everything else follows, and no other variant runs again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from mutdet.settings.masks import MaskGeneratorSettings
from mutdet.settings.plugins import OneOf, Plugin
from mutdet.settings.proposals.selective_search import SelectiveSearchSettings
from mutdet.settings.registries import BACKBONE_METHODS, MASK_GENERATORS, PRETRAINING_METHODS, load, modules
from mutdet.settings.stages import STAGES

REPOSITORY = Path(__file__).parents[2]
PLUGINS = {"masks": ("generator", MASK_GENERATORS), "backbone": ("method", BACKBONE_METHODS), "pretrain": ("method", PRETRAINING_METHODS)}
NEW: dict[str, dict[str, Any]] = {
    "pretrain": {
        "line": '    "fake": Plugin("mutdet.settings.pretraining.fake:FakeSettings", "mutdet.pretraining.fake:Fake"),\n',
        "after": "PRETRAINING_METHODS = {\n",
        "settings": ("settings/pretraining/fake.py", "from mutdet.settings.pretrain import PseudoLabelPretrainSettings as Base", "method"),
        "code": "pretraining/fake.py",
        "variant": {"method": "fake", "codebook": "k32", "detector": "small", "backbone": "selfemd"},
    },
    "masks": {
        "line": '    "fake": Plugin("mutdet.settings.proposals.fake:FakeSettings", "mutdet.proposals.fake:Fake"),\n',
        "after": "MASK_GENERATORS = {\n",
        "settings": ("settings/proposals/fake.py", "from mutdet.settings.masks import MaskGeneratorSettings as Base", "generator"),
        "code": "proposals/fake.py",
        "variant": {"generator": "fake"},
    },
}
LOOK = """
import json, sys, yaml
from mutdet.settings.config import parse_config
from mutdet.settings.layout import Layout
from mutdet.settings.schema import config_schema, reference_text
from mutdet.settings.stages import STAGES
layout = Layout(parse_config(yaml.safe_load(open(sys.argv[1]))))
sections = {stage: getattr(layout.config, stage, None) for stage in STAGES}
codes = {f"{stage} {name}": layout.code(stage, name) for stage, names in sections.items() if isinstance(names, dict) for name in names}
print(json.dumps({"codes": codes, "definitions": sorted(config_schema()["$defs"]), "reference": reference_text()}))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY / "mutdet", tmp_path / "mutdet", ignore=shutil.ignore_patterns("__pycache__", "weights"))
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "400"}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def look(folder: Path) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(run(folder, "-c", LOOK, str(folder / "config.yaml")))
    return seen


def add_line(folder: Path, stage: str) -> None:
    new = NEW[stage]
    path, base, field = new["settings"]
    text = "from typing import Literal\nfrom pydantic import Field\n{}\n\nclass FakeSettings(Base):\n    'A fake one.'\n    {}: Literal['fake'] = 'fake'\n"
    strength = "    strength: float = Field(0.5, ge=0, description='How strong, decibels.')\n"
    (folder / "mutdet" / path).write_text(text.format(base, field) + strength)
    (folder / "mutdet" / new["code"]).write_text("class Fake:\n    pass\n")
    registry = folder / "mutdet" / "settings" / "registries.py"
    registry.write_text(registry.read_text().replace(new["after"], new["after"] + new["line"]))


@pytest.mark.parametrize("stage", NEW)
def test_a_new_line_is_known_everywhere_and_changes_no_fingerprint(package: Path, stage: str) -> None:
    shutil.copy(REPOSITORY / "config" / "config.yaml", package / "config.yaml")
    before = look(package)
    assert {"masks sam_small", "pretrain mutdet", "pretrain none", "finetune none-0"} <= set(before["codes"])
    add_line(package, stage)
    config = yaml.safe_load((package / "config.yaml").read_text())
    config[stage]["new"] = {**NEW[stage]["variant"], "strength": 2}
    (package / "config.yaml").write_text(yaml.safe_dump(config))
    after = look(package)
    own = after["codes"].pop(f"{stage} new")
    assert after["codes"] == before["codes"]
    assert own not in before["codes"].values()
    assert set(after["definitions"]) - set(before["definitions"]) == {"FakeSettings"}
    assert "How strong, decibels." in after["reference"]
    shown = run(package, "-m", "mutdet", stage, "--help")
    assert "fake" in next(line for line in shown.splitlines() if f"--{NEW[stage]['settings'][2]} " in line)
    assert "How strong, decibels. (>= 0; default: 0.5)" in shown


@pytest.mark.parametrize(("field", "registry"), PLUGINS.values(), ids=PLUGINS)
def test_lines_name_what_exists(field: str, registry: dict[str, Plugin]) -> None:
    for name, plugin in registry.items():
        assert get_args(plugin.settings_class.model_fields[field].annotation) == (name,)
        assert callable(load(registry, name))


def test_a_variant_depends_on_its_own_method_alone() -> None:
    stage = STAGES["pretrain"]
    found = stage.modules(stage.validate({"method": "none"}))
    assert "mutdet.pretraining.untrained" in found
    assert not [name for name in found if name.endswith(".mutdet")]
    assert modules(PRETRAINING_METHODS, "mutdet") == ["mutdet.settings.pretraining.mutdet", "mutdet.pretraining.mutdet"]


def test_a_registry_of_one_line_is_a_union_too() -> None:
    only = {"selective_search": MASK_GENERATORS["selective_search"]}
    adapter: TypeAdapter[MaskGeneratorSettings] = TypeAdapter(Annotated[MaskGeneratorSettings, OneOf("generator", only)])
    assert adapter.validate_python({"generator": "selective_search", "base_k": 9}) == SelectiveSearchSettings(base_k=9)
    for wrong in ({"generator": "sam"}, {"base_k": 9}, {"generator": "selective_search", "base_k": 0}):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
