"""The tiles that all pictures show: the same ones however the tables are cut, labelled ones first."""

from pathlib import Path
from typing import Any

import pytest

from mutdet.settings.base import Runtime
from mutdet.settings.report import ReportTilesFiles, ReportTilesSettings
from mutdet.stages.report_tiles import run
from mutdet.tables import boxes, tiles
from mutdet.tables.read import read_table
from mutdet.tables.write import write_table

LABEL = {"polygon": [1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0], "category": "ship", "difficulty": 0}


def tile(name: str, labels: int = 0) -> dict[str, Any]:
    place = {"dataset": "d", "image_id": name, "x": 0, "y": 0, "width": 8, "height": 8, "scale": 1.0, "content_fraction": 1.0}
    return {"tile_id": f"{name}__8__0___0", **place, "image": name.encode(), "labels": [LABEL] * labels}


def box(name: str) -> dict[str, Any]:
    place = {"cx": 3.0, "cy": 3.0, "w": 4.0, "h": 2.0, "angle": 0.0, "polygon": LABEL["polygon"]}
    return {"tile_id": f"{name}__8__0___0", "mask_id": 0, **place, "mask_area": 8, "fill": 1.0, "score": 1.0}


def table(path: Path, rows: list[dict[str, Any]], schema: Any = tiles.SCHEMA) -> Path:
    write_table(path, rows, schema)
    return path


def choose(folder: Path, count: int = 3, seed: int = 0, **tables: list[Path]) -> list[dict[str, Any]]:
    run(ReportTilesFiles(output=folder / "chosen.parquet", **tables), ReportTilesSettings(tiles=count, seed=seed), Runtime())
    rows: list[dict[str, Any]] = read_table(folder / "chosen.parquet").to_pylist()
    return rows


NAMES = [f"i{number:02d}" for number in range(12)]


def test_labelled_tiles_come_first_and_keep_their_labels(tmp_path: Path) -> None:
    unlabelled = table(tmp_path / "u.parquet", [tile(name) for name in NAMES])
    train = table(tmp_path / "t.parquet", [tile("elsewhere", 9), *(tile(name, 2 if name in ("i03", "i08") else 0) for name in NAMES)])
    rows = choose(tmp_path, unlabelled=[unlabelled], train=[train])
    assert {"i03", "i08"} < {row["image_id"] for row in rows} <= set(NAMES)
    assert [row["tile_id"] for row in rows] == sorted(row["tile_id"] for row in rows)
    assert {row["image_id"]: len(row["labels"]) for row in rows if row["labels"]} == {"i03": 2, "i08": 2}
    assert all(row["image"] == row["image_id"].encode() for row in rows)


def test_boxes_say_where_something_is_to_be_seen_if_no_label_does(tmp_path: Path) -> None:
    unlabelled = table(tmp_path / "u.parquet", [tile(name) for name in NAMES])
    found = table(tmp_path / "b.parquet", [box("i05"), box("i09")], boxes.SCHEMA)
    rows = choose(tmp_path, count=2, unlabelled=[unlabelled], boxes=[found])
    assert [row["image_id"] for row in rows] == ["i05", "i09"]
    assert not any(row["labels"] for row in rows)


def test_shards_change_nothing(tmp_path: Path) -> None:
    rows = [tile(name, 1) for name in NAMES]
    parts = [table(tmp_path / f"{number}.parquet", rows[number::2]) for number in range(2)]
    whole = [table(tmp_path / "whole.parquet", rows)]
    for folder, cut in (("a", parts), ("b", whole)):
        choose(tmp_path / folder, unlabelled=cut, train=cut)
    assert (tmp_path / "a" / "chosen.parquet").read_bytes() == (tmp_path / "b" / "chosen.parquet").read_bytes()


@pytest.mark.parametrize(("names", "count", "expected"), [(NAMES, 0, 0), (NAMES[:2], 5, 2), ([], 5, 0)])
def test_as_many_as_there_are(tmp_path: Path, names: list[str], count: int, expected: int) -> None:
    assert len(choose(tmp_path, count=count, unlabelled=[table(tmp_path / "u.parquet", [tile(name) for name in names])])) == expected


def test_another_seed_chooses_others(tmp_path: Path) -> None:
    unlabelled = [table(tmp_path / "u.parquet", [tile(name) for name in NAMES])]
    assert choose(tmp_path, unlabelled=unlabelled) != choose(tmp_path, unlabelled=unlabelled, seed=1)
