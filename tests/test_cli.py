"""The command line says the same as the config file, and prints one line where something is wrong."""

import pytest

from mutdet.cli import build_parser, main
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
    assert list(tmp_path.iterdir()) == []


def test_flags_win_over_the_settings_mapping(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr("mutdet.stages.boxes.run", lambda files, settings, runtime: seen.update(settings=settings, runtime=runtime))
    command = ["boxes", "--masks", "m", "--output", "o", "--settings", '{"masks": "x", "min_side": 4, "min_fill": 0.5}', "--min-side", "7", "--device", "cpu"]
    assert main(command) == 0
    assert (seen["settings"].min_side, seen["settings"].min_fill, seen["runtime"].device) == (7.0, 0.5, "cpu")


def test_the_workflow_hands_runtime_settings_down_and_flags_win(monkeypatch):
    seen = {}
    monkeypatch.setattr("mutdet.stages.boxes.run", lambda files, settings, runtime: seen.update(runtime=runtime))
    monkeypatch.setenv("MUTDET_DEVICE", "cuda")
    monkeypatch.setenv("MUTDET_WORKERS", "3")
    assert main(["boxes", "--masks", "m", "--output", "o", "--device", "cpu"]) == 0
    assert (seen["runtime"].device, seen["runtime"].workers) == ("cpu", 3)


def test_stages_and_rules_have_the_same_names():
    assert {name.partition(" ")[0] for name in STAGES} == {
        "scenes", "partition", "masks", "boxes", "backbone", "embed", "codebook", "pseudo_labels",
        "pretrain", "finetune", "detect", "evaluate", "tables", "report",
    }  # fmt: skip
