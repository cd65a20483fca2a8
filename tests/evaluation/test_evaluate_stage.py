"""The stage `evaluate` on our tables and on foreign text files, good and bad."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from mutdet.cli import build_parser
from mutdet.evaluation.submission import read_class_detections
from mutdet.geometry.rotated_boxes import corners
from mutdet.reporting.comparison import compare
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.evaluate import EvaluateFiles, EvaluateSettings
from mutdet.stages.evaluate import run
from mutdet.tables import curves, detections, evaluation, images, labels
from mutdet.tables.write import write_table

REFERENCE = Path(__file__).parents[2].parent / "shared" / "checks" / "dota_eval"
CATEGORIES = ["plane", "ship", "dont-care"]


def drawn_boxes(seed, count):
    r = np.random.default_rng(seed)
    return np.column_stack([r.uniform(0, 500, (count, 2)), r.uniform(30, 60, count), r.uniform(10, 30, count), r.uniform(-1.5, 1.5, count)])


def image_row(name, *splits):
    facts = {"path": f"{name}.png", "width": 500, "height": 500, "bands": 3, "sha256": "", "crs": None, "transform": None}
    return {"dataset": "toy", "image_id": name, "split": list(splits), **facts}


def label_rows(boxes, names):
    polygons = corners(boxes).reshape(-1, 8).tolist()
    return [
        {"dataset": "toy", "image_id": name, "label_id": i, "polygon": polygon, "category": CATEGORIES[i % 3], "difficulty": (i % 5 == 0) * (1 + i % 2)}
        for i, (name, polygon) in enumerate(zip(names, polygons, strict=True))
    ]


def detection_rows(boxes, names, scores, categories):
    columns = {**dict(zip(("cx", "cy", "w", "h", "angle"), boxes.T, strict=True)), "polygon": corners(boxes).reshape(-1, 8).tolist()}
    columns |= {"dataset": ["toy"] * len(boxes), "image_id": names, "score": scores, "category": categories}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.fixture
def tables(tmp_path):
    """Three images of val (one empty), one of train; detections near the objects of val."""
    boxes = drawn_boxes(0, 30)
    names = ["a__1", "b", "train_only"] * 10
    splits = {"a__1": "val", "b": "val", "empty": "val", "train_only": "train"}
    write_table(tmp_path / "images.parquet", [image_row(*item) for item in splits.items()], images.SCHEMA)
    write_table(tmp_path / "labels.parquet", label_rows(boxes, names), labels.SCHEMA)
    seen = [i for i in range(30) if names[i] != "train_only" and CATEGORIES[i % 3] != "dont-care"]
    found = detection_rows(boxes[seen], [names[i] for i in seen], np.linspace(0.9, 0.1, len(seen)), [CATEGORIES[i % 3] for i in seen])
    write_table(tmp_path / "detections.parquet", found, detections.SCHEMA)
    return tmp_path


def paths(folder, **outputs):
    return EvaluateFiles(**{name: folder / f"{name}.parquet" for name in ("detections", "labels", "images")}, **outputs)


def evaluate(files, **settings):
    run(files, EvaluateSettings(**settings), Runtime())


def figures(path):
    rows = pq.read_table(path).to_pylist()
    return {(row["metric"], row["threshold"], row["category"]): row for row in rows}


def test_tables_in_tables_out(tables):
    files = paths(tables, output=tables / "out.parquet", curves=tables / "pr.parquet", json=tables / "ap.json", submission=tables / "task1")
    evaluate(files, ignore_categories=["dont-care"], experiment="mutdet-25", dataset="toy", pretrain="mutdet", fraction=0.25, seed=1, epochs=12)
    written = pq.read_table(tables / "out.parquet")
    assert written.schema.equals(evaluation.SCHEMA, check_metadata=True)
    rows = figures(tables / "out.parquet")
    assert len(rows) == len(written) == 2 * 11 * 3 + 4 * 3
    assert {(r["experiment"], r["dataset"], r["pretrain"], r["fraction"], r["seed"], r["epochs"], r["split"]) for r in rows.values()} == {
        ("mutdet-25", "toy", "mutdet", 0.25, 1, 12, "val")
    }
    assert rows["voc07", None, "mean"]["ap"] == pytest.approx(1)
    assert rows["recall@100", 0.5, "all"]["recall"] == 1
    # Of ten planes and ten ships in val two each are difficult, of either difficulty.
    assert [rows["area", 0.5, name]["positives"] for name in ("plane", "ship", "mean")] == [8, 8, 16]
    assert rows["recall@100", 0.5, "all"]["positives"] == 16
    assert {c for _, _, c in rows} == {"plane", "ship", "mean", "all"}
    assert pq.read_table(tables / "pr.parquet").schema.equals(curves.SCHEMA, check_metadata=True)
    content = json.loads((tables / "ap.json").read_text())
    assert sorted(content) == ["voc07@0.5", "voc07@0.75", "voc12@0.5", "voc12@0.75"]
    assert set(content["voc12@0.75"]) == {"plane", "ship", "mean"}
    provenance = json.loads((tables / "out.json").read_text())
    assert provenance["settings"]["experiment"] == "mutdet-25"
    assert (provenance["images"], provenance["labels"]) == (3, 20)
    assert len(read_class_detections(tables / "task1" / "Task1_plane.txt").scores) > 0


def test_settings_decide_what_is_computed_and_shown(tmp_path):
    """A ship that is found, one that is not, and a wrong box of which 60 % lie in a region to be ignored."""
    boxes = np.array([[50.0, 50, 20, 10, 0], [150, 50, 20, 10, 0], [250, 50, 60, 40, 0]])
    named = zip(label_rows(boxes, ["a"] * 3), ["ship", "ship", "dont-care"], strict=True)
    write_table(tmp_path / "images.parquet", [image_row("a", "val")], images.SCHEMA)
    write_table(tmp_path / "labels.parquet", [row | {"category": name, "difficulty": 0} for row, name in named], labels.SCHEMA)
    found = np.array([boxes[0], [222, 50, 20, 10, 0]])
    write_table(tmp_path / "detections.parquet", detection_rows(found, ["a", "a"], [0.75, 0.25], ["ship", "ship"]), detections.SCHEMA)
    chosen = {"metrics": ["area"], "thresholds": [0.5, 0.6], "shown_thresholds": [0.6], "recall_boxes": 1, "recall_thresholds": [0.3], "ignore_share": 0.7}
    evaluate(paths(tmp_path, output=tmp_path / "out.parquet", curves=tmp_path / "pr.parquet"), ignore_categories=["dont-care"], **chosen)
    figures_of_ships = {key for key in figures(tmp_path / "out.parquet") if key[2] == "ship"}
    assert figures_of_ships == {("area", 0.5, "ship"), ("area", 0.6, "ship"), ("recall@1", 0.3, "ship")}
    points = [(row["threshold"], row["recall"], row["precision"], row["score"]) for row in pq.read_table(tmp_path / "pr.parquet").to_pylist()]
    assert points == [(0.6, 0.5, 1.0, 0.75), (0.6, 0.5, 0.5, 0.25)]


def test_two_runs_write_the_same_bytes(tables):
    for name in ("one", "two"):
        evaluate(paths(tables, output=tables / name / "e.parquet", curves=tables / name / "c.parquet"))
    for table in ("e.parquet", "c.parquet"):
        assert (tables / "one" / table).read_bytes() == (tables / "two" / table).read_bytes()


def test_own_tables_and_their_submission_files_agree(tables):
    evaluate(paths(tables, json=tables / "own.json", submission=tables / "Task1"), ignore_categories=["dont-care"])
    folder = tables / "labelTxt"
    folder.mkdir()
    rows = pq.read_table(tables / "labels.parquet").to_pylist()
    for name in ("a__1", "b", "empty"):
        lines = [f"{' '.join(map(str, r['polygon']))} {r['category']} {r['difficulty']}\n" for r in rows if r["image_id"] == name]
        (folder / f"{name}.txt").write_text("imagesource:GoogleEarth\ngsd:0.5\n" + "".join(lines))
    (tables / "val.txt").write_text("a__1\nb\nempty\n")
    files = EvaluateFiles(detections=tables / "Task1", labels=folder, images=tables / "val.txt", json=tables / "foreign.json")
    evaluate(files, ignore_categories=["dont-care"])
    assert json.loads((tables / "foreign.json").read_text()) == json.loads((tables / "own.json").read_text())


def test_a_detector_without_classes_has_recall_but_no_ap(tables):
    found = pq.read_table(tables / "detections.parquet")
    renamed = found.set_column(found.schema.get_field_index("category"), found.schema.field("category"), pa.array(["object"] * len(found)))
    write_table(tables / "detections.parquet", renamed, detections.SCHEMA)
    evaluate(paths(tables, output=tables / "out.parquet"), ignore_categories=["dont-care"])
    rows = figures(tables / "out.parquet")
    assert {metric for metric, _, _ in rows} == {"recall@100"}
    assert rows["recall@100", 0.5, "all"]["recall"] == 1


def test_a_test_set_without_labels_is_handed_in_without_figures(tables, caplog):
    rows = [row | {"split": ["test"] if row["split"] == ["val"] else row["split"]} for row in pq.read_table(tables / "images.parquet").to_pylist()]
    write_table(tables / "images.parquet", rows, images.SCHEMA)
    labelled = pq.read_table(tables / "labels.parquet").to_pylist()
    write_table(tables / "labels.parquet", [row | {"image_id": "train_only"} for row in labelled], labels.SCHEMA)
    files = paths(tables, output=tables / "out.parquet", curves=tables / "pr.parquet", submission=tables / "Task1")
    evaluate(files, split="test", ignore_categories=["dont-care"], experiment="mutdet")
    assert "split test has no label" in caplog.text
    written = [len(read_class_detections(tables / "Task1" / f"Task1_{name}.txt").scores) for name in ("plane", "ship")]
    assert sum(written) == pq.read_table(tables / "detections.parquet").num_rows
    assert min(written) > 0
    assert {(row["ap"], row["recall"], row["positives"]) for row in figures(tables / "out.parquet").values()} == {(None, None, 0)}
    assert compare(pq.read_table(tables / "out.parquet").to_pylist())[0]["voc07_ap50"] is None


def test_no_detection_at_all(tables):
    write_table(tables / "detections.parquet", [], detections.SCHEMA)
    evaluate(paths(tables, output=tables / "out.parquet", curves=tables / "pr.parquet"))
    rows = figures(tables / "out.parquet")
    assert rows["area", 0.5, "mean"]["ap"] == 0
    assert pq.read_table(tables / "pr.parquet").num_rows == 0


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference values of DOTA's evaluation code are not beside this checkout")
def test_is_dotas_own_evaluation(tmp_path):
    files = EvaluateFiles(detections=REFERENCE / "Task1", labels=REFERENCE / "labelTxt", images=REFERENCE / "images.txt", json=tmp_path / "out.json")
    evaluate(files)
    got, expected = json.loads((tmp_path / "out.json").read_text()), json.loads((REFERENCE / "expected.json").read_text())
    assert got.keys() == expected.keys()
    for key, values in expected.items():
        assert got[key] == pytest.approx(values, abs=1e-6)


# Bad input ---------------------------------------------------------------------------------------


def refused(folder, message, **settings):
    with pytest.raises(UserError, match=message) as caught:
        evaluate(paths(folder, output=folder / "out.parquet", json=folder / "out.ap.json"), **settings)
    assert "\n" not in str(caught.value)
    assert not list(folder.glob("out.*"))


def change(path, schema, **columns):
    rows = pq.read_table(path).to_pylist()
    write_table(path, [row | columns if number == 3 else row for number, row in enumerate(rows)], schema)


def test_detections_of_another_image(tables):
    change(tables / "detections.parquet", detections.SCHEMA, image_id="elsewhere")
    refused(tables, "detections.parquet: elsewhere: image is not among those evaluated")


@pytest.mark.parametrize("columns", [{"score": float("nan")}, {"polygon": [0.0] * 7 + [float("inf")]}])
def test_detections_that_are_not_finite(tables, columns):
    change(tables / "detections.parquet", detections.SCHEMA, **columns)
    refused(tables, "detections.parquet: .*: a detection is not finite")


def test_split_without_images_and_split_without_labels(tables):
    refused(tables, "images.parquet: no image belongs to split test", split="test")
    write_table(tables / "labels.parquet", [], labels.SCHEMA)
    refused(tables, "labels.parquet: no object of any class is labelled")


def test_missing_and_truncated_tables(tables):
    (tables / "labels.parquet").write_bytes((tables / "labels.parquet").read_bytes()[:-20])
    refused(tables, "labels.parquet: is no complete Parquet table")
    (tables / "labels.parquet").unlink()
    refused(tables, "labels.parquet: table is missing")


@pytest.fixture
def texts(tmp_path):
    """A folder of labels, one of Task 1 files, and a list of two images."""
    for folder in ("Task1", "labelTxt"):
        (tmp_path / folder).mkdir()
    (tmp_path / "Task1" / "Task1_ship.txt").write_text("P0 0.9 0 0 4 0 4 2 0 2\n")
    (tmp_path / "labelTxt" / "P0.txt").write_text("0 0 4 0 4 2 0 2 ship 0\n")
    (tmp_path / "labelTxt" / "P1.txt").write_text("")
    (tmp_path / "list.txt").write_text("\ufeffP0\r\nP1\r\n\r\n")
    return tmp_path


def evaluate_texts(folder):
    evaluate(EvaluateFiles(detections=folder / "Task1", labels=folder / "labelTxt", images=folder / "list.txt", json=folder / "out.json"))
    return json.loads((folder / "out.json").read_text())


def test_list_with_byte_order_mark_and_image_without_object(texts):
    assert evaluate_texts(texts)["voc12@0.5"] == {"ship": 1.0, "mean": 1.0}


@pytest.mark.parametrize("difficulty", [1, 2])
def test_a_difficult_object_that_is_not_found_is_not_missed(texts, difficulty):
    (texts / "labelTxt" / "P1.txt").write_text(f"0 0 4 0 4 2 0 2 ship {difficulty}\n")
    assert evaluate_texts(texts)["voc12@0.5"] == {"ship": 1.0, "mean": 1.0}


def test_task_1_file_of_a_class_without_label(texts):
    (texts / "Task1" / "Task1_plane.txt").write_text("P1 0.9 0 0 4 0 4 2 0 2\n")
    assert evaluate_texts(texts)["voc12@0.5"] == {"ship": 1.0, "mean": 1.0}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("list.txt", "P0\nP7\n", "P7.txt: label file is missing"),
        ("list.txt", "P0\nP1\nP0\n", "list.txt: P0: is listed twice"),
        ("list.txt", "\n", "list.txt: lists no image"),
        ("list.txt", None, "list.txt: cannot be read as a list"),
        ("Task1/Task1_ship.txt", "P9 0.9 0 0 4 0 4 2 0 2\n", "Task1_ship.txt: P9: image is not in the list"),
        ("Task1/Task1_ship.txt", "P0 0.9 0 0 4 0 4 2 0\n", "Task1_ship.txt: line 1: has 9 fields"),
        ("Task1/Task1_ship.txt", None, "Task1: holds no Task1_<class>.txt"),
        ("labelTxt/P0.txt", "0 0 4 0 4 2 0 nan ship 0\n", "P0.txt: line 1: "),
        ("labelTxt/P0.txt", "0 0 4 0 4 2 0 ship 0\n", "P0.txt: line 1: "),
        ("labelTxt/P1.txt", "0 0 4 0 4 2 0 2 plane 0\n", "Task1_plane.txt: file is missing"),
    ],
)
def test_bad_texts_are_refused_in_one_line(texts, file, content, message):
    if content is None:
        (texts / file).unlink()
    else:
        (texts / file).write_text(content)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        evaluate_texts(texts)
    assert "\n" not in str(caught.value)
    assert not (texts / "out.json").exists()


def test_impossible_settings():
    with pytest.raises(ValidationError, match=r"shown_thresholds \[0.3\] are not among"):
        EvaluateSettings(shown_thresholds=[0.3])
    with pytest.raises(ValidationError, match="nothing to write"):
        EvaluateFiles(detections="a", labels="b", images="c")
    with pytest.raises(ValidationError, match="give json another name"):
        EvaluateFiles(detections="a", labels="b", images="c", output="x.parquet", json="x.json")


def test_the_command_line_knows_the_flags_of_foreign_results():
    given = build_parser().parse_args(["evaluate", "--detections", "Task1", "--labels", "labelTxt", "--images", "list.txt", "--json", "out.json"])
    files = {name.removeprefix("files:"): value for name, value in vars(given).items() if name.startswith("files:")}
    assert EvaluateFiles(**files).json_output == Path("out.json")
