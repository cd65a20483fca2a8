"""Experiments side by side."""

from pathlib import Path
from statistics import stdev
from typing import Any

import pytest

from mutdet.reporting.comparison import compare
from mutdet.reporting.latex import escape, latex_table
from mutdet.reporting.run_folder import RunFolder
from mutdet.reporting.tables_section import tables_section
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.report import ReportSettings
from mutdet.settings.tables import PublishedFigures, TablesFiles, TablesSettings
from mutdet.stages.tables import run
from mutdet.tables import comparison, evaluation
from mutdet.tables.read import read_table
from mutdet.tables.write import write_table


def rows(experiment: str, pretrain: str, ap: float | None, recall: float = 0.5, **facts: Any) -> list[dict[str, Any]]:
    base = {"experiment": experiment, "dataset": "d", "split": "val", "pretrain": pretrain, "fraction": 0.25, "seed": 0, "epochs": 12, "iterations": None}
    found = [
        ("voc07", 0.5, "mean", ap, 0.9),
        ("voc07", 0.5, "ship", 0.01, 0.9),
        ("area", 0.5, "mean", ap and ap / 2, 0.9),
        ("area", None, "mean", ap, 0.9),
        ("recall@100", 0.5, "all", None, recall),
    ]
    values = [dict(zip(("metric", "threshold", "category", "ap", "recall"), row, strict=True), positives=3) for row in found]
    return [{**base, **facts, **value} for value in values]


def test_seeds_share_a_row_with_mean_and_spread() -> None:
    (row,) = compare(rows("none-25-s0", "none", 0.2) + rows("none-25-s1", "none", 0.5, seed=1))
    assert (row["experiment"], row["seeds"]) == ("none-25", 2)
    assert row["voc07_ap50"] == pytest.approx(0.35)
    assert row["voc07_ap50_spread"] == pytest.approx(stdev([0.2, 0.5]))
    assert row["area_ap50_95"] == pytest.approx(0.35)
    assert row["voc07_ap75"] is None
    assert (row["recall_50"], row["recall_boxes"]) == (0.5, 100)


def test_one_seed_has_no_spread() -> None:
    (row,) = compare(rows("a", "none", 0.2))
    assert row["voc07_ap50_spread"] is None


def test_gain_is_against_the_alike_row_without_pre_training() -> None:
    found = compare(
        rows("none-10", "none", 0.1, fraction=0.1) + rows("none-25", "none", 0.2) + rows("mutdet-25-s0", "mutdet", 0.5) + rows("mutdet-25-s1", "mutdet", 0.7)
    )
    gains = {row["experiment"]: row["voc07_ap50_gain"] for row in found}
    assert gains == {"none-10": None, "none-25": None, "mutdet-25": pytest.approx(0.4)}


@pytest.mark.parametrize(
    "fact", [{"dataset": "e"}, {"split": "test"}, {"fraction": 0.1}, {"epochs": 24}, {"iterations": 90}], ids=lambda fact: next(iter(fact))
)
def test_no_gain_over_a_row_of_other_data_or_length(fact: dict[str, Any]) -> None:
    found = compare(rows("none", "none", 0.2, **fact) + rows("mutdet", "mutdet", 0.5))
    assert [row["voc07_ap50_gain"] for row in found] == [None, None]


def test_two_baselines_give_no_gain() -> None:
    found = compare(rows("none-a", "none", 0.1) + rows("none-b", "none", 0.2) + rows("mutdet", "mutdet", 0.5))
    assert all(row["voc07_ap50_gain"] is None for row in found)


def test_missing_figures_stay_missing() -> None:
    found = compare(rows("none-0", "none", None, recall=0.1, epochs=0) + rows("mutdet-0", "mutdet", None, recall=0.6, epochs=0))
    gains = {row["experiment"]: (row["voc07_ap50"], row["voc07_ap50_gain"], row["recall_50_gain"]) for row in found}
    assert gains == {"none-0": (None, None, None), "mutdet-0": (None, None, pytest.approx(0.5))}


def test_other_facts_are_other_rows() -> None:
    assert len(compare(rows("a-s0", "none", 0.1) + rows("a-s1", "none", 0.1, epochs=24))) == 2


def test_order() -> None:
    found = compare(rows("b", "none", 0.1) + rows("a", "none", 0.1) + rows("c", "none", 0.1), order=["c", "b"])
    assert [row["experiment"] for row in found] == ["c", "b", "a"]


def test_latex_escapes_and_shows_gain_and_spread() -> None:
    found = compare(rows("none_25", "none", 0.2) + rows("mut&det-s0", "mutdet", 0.5) + rows("mut&det-s1", "mutdet", 0.7))
    text = latex_table(found)
    assert r"none\_25" in text
    assert r"mut\&det & 25 \%" in text
    assert r"$60.0 \pm 14.1\,(+40.0)$" in text
    assert text.count(r"\\") == 1 + len(found)


def test_latex_special_signs() -> None:
    assert escape("a\\b~c^d{}#$") == r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d\{\}\#\$"


@pytest.fixture
def evaluations(tmp_path: Path) -> list[Path]:
    paths = []
    for name, method, ap in (("none-s0", "none", 0.2), ("mutdet-s0", "mutdet", 0.5), ("other", "mutdet", 0.6)):
        paths.append(tmp_path / name / "evaluation.parquet")
        write_table(paths[-1], rows(name, method, ap), evaluation.SCHEMA)
    return paths


def test_stage_writes_three_forms_of_the_same(evaluations: list[Path], tmp_path: Path) -> None:
    settings = TablesSettings(experiments=["none-s0", "mutdet-s0"])
    run(TablesFiles(evaluations=evaluations, output=tmp_path / "main.parquet"), settings, Runtime())
    table = read_table(tmp_path / "main.parquet")
    assert table.schema.equals(comparison.SCHEMA)
    assert table["experiment"].to_pylist() == ["none", "mutdet"]
    assert table["voc07_ap50_gain"].to_pylist() == [None, pytest.approx(0.3)]
    lines = (tmp_path / "main.csv").read_text().splitlines()
    assert lines[0].split(",") == comparison.SCHEMA.names
    assert len(lines) == 3
    assert (tmp_path / "main.tex").read_text().startswith(r"\begin{table}")


def test_stage_takes_the_baseline_and_the_caption_that_are_set(evaluations: list[Path], tmp_path: Path) -> None:
    settings = TablesSettings(experiments=["none-s0", "mutdet-s0"], baseline="mutdet", caption="Ships & planes")
    run(TablesFiles(evaluations=evaluations, output=tmp_path / "main.parquet"), settings, Runtime())
    assert read_table(tmp_path / "main.parquet")["voc07_ap50_gain"].to_pylist() == [pytest.approx(-0.3), None]
    assert r"\caption{Ships \& planes}" in (tmp_path / "main.tex").read_text()


def test_stage_names_experiments_without_evaluation(evaluations: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="absent"):
        run(TablesFiles(evaluations=evaluations, output=tmp_path / "main.parquet"), TablesSettings(experiments=["absent"]), Runtime())
    assert not (tmp_path / "main.parquet").exists()


def test_published_figures_stand_beside_their_rows_as_shares(evaluations: list[Path], tmp_path: Path) -> None:
    published = {"none": PublishedFigures(ap50=37.9), "mutdet": PublishedFigures(ap50=56.9, ap75=30.0)}
    settings = TablesSettings(experiments=["none-s0", "mutdet-s0", "other"], published=published)
    run(TablesFiles(evaluations=evaluations, output=tmp_path / "main.parquet"), settings, Runtime())
    table = read_table(tmp_path / "main.parquet")
    assert table["voc07_ap50_paper"].to_pylist() == [pytest.approx(0.379), pytest.approx(0.569), None]
    assert table["voc07_ap75_paper"].to_pylist() == [None, pytest.approx(0.3), None]
    text = (tmp_path / "main.tex").read_text()
    assert r"AP$_{50}$ (paper) & AP$_{75}$ (paper) \\" in text
    assert r"& $37.9$ & -- \\" in text
    assert r"\begin{tabular}{lllrrrrrrrr}" in text
    assert {line.count("&") for line in text.splitlines() if line.endswith(r"\\")} == {10}


def test_without_published_figures_no_column_is_shown() -> None:
    assert "(paper)" not in latex_table(compare(rows("a", "none", 0.2)))


def test_published_figures_of_no_row_are_told(evaluations: list[Path], tmp_path: Path) -> None:
    settings = TablesSettings(published={"mutdet-s0": PublishedFigures(ap50=1.0)})
    with pytest.raises(UserError, match="no row of the table: mutdet-s0"):
        run(TablesFiles(evaluations=evaluations, output=tmp_path / "main.parquet"), settings, Runtime())


def test_section_shows_every_table_with_the_papers_figures(evaluations: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "run" / "tables"
    settings = TablesSettings(experiments=["none-s0", "mutdet-s0"], published={"mutdet": PublishedFigures(ap50=56.9)})
    for name in ("b", "a"):
        run(TablesFiles(evaluations=evaluations, output=folder / f"{name}.parquet"), settings, Runtime())
    first, second = tables_section(RunFolder(tmp_path / "run"), ReportSettings()).blocks
    assert [table.caption.split(".")[0] for table in (first, second)] == ["Table a", "Table b"]
    assert first.headers == ["experiment", "labels", "length", "seeds", "AP50", "gain", "AP50 (area)", "gain", "recall", "gain", "AP50 in the paper"]
    assert first.rows == [
        ["none", "25 %", "12 epochs", "1", "20.0", "–", "10.0", "–", "50.0", "–", "–"],
        ["mutdet", "25 %", "12 epochs", "1", "50.0", "+30.0", "25.0", "+15.0", "50.0", "0.0", "56.9"],
    ]


def test_section_without_tables_says_so(tmp_path: Path) -> None:
    (note,) = tables_section(RunFolder(tmp_path), ReportSettings()).blocks
    assert "No table" in note.text
