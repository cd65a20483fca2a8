"""The command line says the same as the config file, and prints one line where something is wrong."""

import os
import re

import pytest
from pydantic.fields import FieldInfo

from mutdet.cli import build_parser, main
from mutdet.settings.base import Runtime
from mutdet.settings.config import parse_config
from mutdet.settings.environment import hand_down, handed_down
from mutdet.settings.flags import Flag, choice_of, flags_of
from mutdet.settings.layout import Layout
from mutdet.settings.registries import MASK_GENERATORS
from mutdet.settings.stages import COMMANDS, STAGES


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_field_has_a_flag_with_meaning_and_default(name, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([*name.split(), "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for field, info in COMMANDS[name].files_class.model_fields.items():
        assert f"--{(info.alias or field).replace('_', '-')}" in shown
        assert info.description, f"{name}: {field} has no description"


@pytest.mark.parametrize("name", ["masks", "backbone", "pretrain"])
def test_a_choice_shows_every_member_and_all_of_its_settings(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10000")
    with pytest.raises(SystemExit):
        build_parser().parse_args([name, "--help"])
    shown = capsys.readouterr().out
    choice = choice_of(COMMANDS[name].settings_type)
    assert f"--{choice.field} {{{','.join(choice.members)}}}" in shown
    for member, model in choice.members.items():
        assert f"{member}: {model.__doc__.splitlines()[0].rstrip('.')}" in shown
    for flag in flags_of(COMMANDS[name].settings_type):
        assert flag.names_a_variant or all(f"{flag.option} " in shown and info.description in shown for info in flag.fields.values())


def test_flags_are_grouped_by_who_has_them(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10000")
    with pytest.raises(SystemExit):
        build_parser().parse_args(["masks", "--help"])
    shared, *groups = capsys.readouterr().out.split("settings of generator ")
    own = {group.split(":", 1)[0]: group for group in groups}
    assert "--points-per-side INT" in own["sam"]
    assert "--base-k INT" in own["selective_search"]
    assert f"--generator {{{','.join(MASK_GENERATORS)}}}" in shared.split("\nsettings:")[1]


def test_a_setting_of_several_members_is_told_once_with_each_meaning():
    flags = {flag.name: flag for flag in flags_of(COMMANDS["pretrain"].settings_type)}
    assert re.match(r"mutdet[a-z, ]*: Seed of initial weights, order of tiles", flags["seed"].help)
    assert "; none: Seed of the initial weights." in flags["seed"].help
    assert flags["detector"].help == "Detector, by its name under `detectors`. (default: r50)"


@pytest.mark.parametrize(
    ("stage", "name", "text", "expected"),
    [
        ("evaluate", "thresholds", "0.5", [0.5]),
        ("evaluate", "thresholds", "0.5, 0.75", [0.5, 0.75]),
        ("evaluate", "ignore_categories", "dont-care", ["dont-care"]),
        ("evaluate", "ignore_categories", "[small vehicle, ship]", ["small vehicle", "ship"]),
        ("evaluate", "ignore_categories", "[]", []),
        ("partition tiles", "bands", "4,3,2", [4, 3, 2]),
        ("partition tiles", "bands", "null", None),
    ],
)
def test_a_list_is_written_with_brackets_or_without(stage, name, text, expected):
    flags = {flag.name: flag for flag in flags_of(COMMANDS[stage].settings_type)}
    assert flags[name].read(text) == expected


def test_members_with_other_defaults_say_which():
    help_text = {flag.name: flag.help for flag in flags_of(COMMANDS["backbone"].settings_type)}["weights"]
    assert help_text.startswith("imagenet: Local copy")
    assert "; checkpoint: File: .safetensors" in help_text
    shared = Flag("epochs", {name: FieldInfo(annotation=int, default=value, description="Length.") for name, value in (("a", 1), ("b", 2), ("c", 1))})
    assert shared.help == "Length. (default: 1 (a, c), default: 2 (b))"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--generator", "sam", "--base-k", "9"], "--base-k is no setting of generator sam; leave it out, or choose generator selective_search"),
        (["--settings", "{generator: selective_search}", "--peaks", "9"], "--peaks is no setting of generator selective_search"),
        ([], f"--generator is missing; choose one of {', '.join(MASK_GENERATORS)}"),
        (["--generator", "magic"], "'magic'"),
        (["--generator", "sam", "--points-per-side", "-1"], "points_per_side = -1"),
        (["--settings", "{generator: sam, base_k: 9}"], "base_k = 9: is an unknown key"),
    ],
)
def test_a_flag_of_another_member_is_told_in_one_line(tmp_path, capsys, flags, expected):
    assert main(["masks", "--tiles", str(tmp_path / "t.parquet"), "--output", str(tmp_path / "m.parquet"), *flags]) == 1
    assert expected in told(capsys)
    assert list(tmp_path.iterdir()) == []


def told(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if " ERROR " in line]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--min-side", "-3"], "min_side = -3"),
        (["--min-side", "wide"], "min_side = 'wide'"),
        (["--settings", "{unknown: 1}"], "unknown = 1: is an unknown key"),
        (["--settings", "{"], "not readable"),
        (["--settings", "[1]"], "must be a mapping"),
        ([], "masks.parquet: table is missing"),
    ],
)
def test_wrong_flags_and_files_are_told_in_one_line(tmp_path, capsys, flags, expected):
    command = ["boxes", "--masks", str(tmp_path / "masks.parquet"), "--output", str(tmp_path / "boxes.parquet"), "--settings", "{masks: x}", *flags]
    assert main(command) == 1
    assert expected in told(capsys)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".claim"] == []


def test_flags_win_over_the_settings_mapping(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mutdet.stages.boxes.run", lambda files, settings, runtime: seen.update(settings=settings, runtime=runtime))
    command = ["boxes", "--masks", "m", "--output", "o", "--settings", '{"masks": "x", "min_side": 4, "min_fill": 0.5}', "--min-side", "7", "--device", "cpu"]
    assert main(command) == 0
    assert (seen["settings"].min_side, seen["settings"].min_fill, seen["runtime"].device) == (7.0, 0.5, "cpu")


@pytest.mark.parametrize("name", ["ünïcode", "船", "🚢", "a\u2028b", "a\x85b", 'quote"', "back\\slash"])
def test_settings_of_the_workflow_keep_every_character(tmp_path, monkeypatch, name):
    seen = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mutdet.stages.partition.run_index", lambda files, settings, runtime: seen.update(settings=settings))
    layout = Layout(parse_config({"run": "run", "datasets": {"set": {"images": f"data/{name}", "stride": 1, "content_fraction": 1e-7}}}))
    command = ["partition", "index", "--name", "set", "--image-table", "i", "--label-table", "l", "--settings", layout.settings_json("partition index", "set")]
    assert main(command) == 0
    assert seen["settings"] == layout.settings("partition index", "set")


def test_the_workflow_hands_runtime_settings_down_and_flags_win(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mutdet.stages.boxes.run", lambda files, settings, runtime: seen.update(runtime=runtime))
    monkeypatch.setenv("MUTDET_DEVICE", "cuda")
    monkeypatch.setenv("MUTDET_WORKERS", "3")
    assert main(["boxes", "--masks", "m", "--output", "o", "--device", "cpu"]) == 0
    assert (seen["runtime"].device, seen["runtime"].workers) == ("cpu", 3)


@pytest.mark.parametrize("workers", [None, 0, 3])
def test_runtime_settings_come_through_the_environment(monkeypatch, workers):
    monkeypatch.setattr("os.environ", dict(os.environ))
    hand_down(Runtime(device="cpu", workers=workers), new_run=True)
    assert Runtime(**handed_down()) == Runtime(device="cpu", workers=workers)


def test_stages_and_rules_have_the_same_names():
    assert {name.partition(" ")[0] for name in STAGES} == {
        "scenes", "partition", "masks", "boxes", "masks_and_boxes", "backbone", "embed", "codebook", "pseudo_labels",
        "pretrain", "finetune", "detect", "evaluate", "tables", "report",
    }  # fmt: skip
