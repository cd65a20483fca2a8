"""The page: complete, self-contained, and never put off by what is absent."""

import base64
import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from mutdet.embedding.rotated_crops import rotated_crops
from mutdet.reporting import cluster_pictures, results, trainings
from mutdet.reporting.blocks import Charts, Gallery, Picture, Table
from mutdet.reporting.charts import bars, histogram, lines
from mutdet.reporting.chosen_tiles import choose
from mutdet.reporting.cluster_pictures import clusters_section
from mutdet.reporting.detection_pictures import detections_section
from mutdet.reporting.drawing import GREEN, draw_masks, draw_outlines
from mutdet.reporting.numbers import points
from mutdet.reporting.resources import resources_section
from mutdet.reporting.results import results_section
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.report import ReportPageFiles, ReportSettings
from mutdet.stages.report import run_page as report
from mutdet.tables import boxes, detections, evaluation, masks, tiles
from mutdet.tables.read import read_table
from mutdet.tables.write import write_provenance, write_table

STAGES = ["partition", "report", "masks", "boxes", "codebook", "pseudo_labels", "finetune", "detect", "evaluate", "benchmarks"]


def render(run: Path, **settings: object) -> str:
    report(ReportPageFiles(run=run, output=run / "report" / "index.html"), ReportSettings.model_validate(settings), Runtime())
    return (run / "report" / "index.html").read_text()


def drawing(picture: Picture) -> str:
    """Text of a chart."""
    return base64.b64decode(picture.source.partition(",")[2]).decode()


class Checker(HTMLParser):
    """Collects addresses and ids, and checks that elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_self_contained_and_well_formed(make_run: Callable[[], Path]) -> None:
    page = render(make_run(), tiles=2)
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    assert all(address.startswith(("data:", "#")) for address in checker.addresses)
    assert {address[1:] for address in checker.addresses if address.startswith("#")} <= set(checker.ids)
    assert "url(" not in page
    assert "@import" not in page
    assert len(page) < 2e6


def test_pictures_decode(make_run: Callable[[], Path]) -> None:
    page = render(make_run(), tiles=2)
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    unlabelled, training, evaluated, clusters = 2 * 4, 2 * 5, 2 * 5, 3
    assert len(pictures) == unlabelled + training + evaluated + clusters
    assert all(cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), 1) is not None for code in pictures)


def test_figures_of_the_run_are_shown(make_run: Callable[[], Path]) -> None:
    page = re.sub(r"base64,[^\"]+", "", render(make_run(), budgets={"masks": 20}))
    for text in (
        "Masks of a tile (sam); mean 2.5",  # three on each of five tiles, none on the sixth
        "35.0 ± 7.1",  # none, two seeds
        "+15.0",  # mutdet over none
        "+50.0",  # recall before fine-tuning
        "pseudo labels · k",
        "cluster 0: 5 objects",
        "of 3",
        "512 MB",
        "min_side: 2",
        "Backbone: total loss",
        "Deviation of unit features",
        "Fine-tuning: total loss",
        "Fine-tuning: mutdet-0, none-0 took no training step",
        "car: precision against recall",
    ):
        assert text in page


def test_gain_at_the_head_of_the_page_is_by_area(make_run: Callable[[], Path]) -> None:
    run = make_run()
    path = run / "evaluate" / "mutdet-25-s0" / "evaluation.parquet"
    shifts = {"voc07": -0.35, "area": 0.05}
    rows = [{**row, "ap": row["ap"] and row["ap"] + shifts[row["metric"]]} for row in read_table(path).to_pylist()]
    write_table(path, rows, evaluation.SCHEMA)
    page = render(run)
    table = next(block for block in results_section(RunFolder(run), ReportSettings()).blocks if isinstance(block, Table))
    assert table.headers[5:] == ["AP50", "gain", "AP75", "AP50:95", "AP50 (area)", "gain"]
    assert [row[5:7] + row[9:] for row in table.rows] == [["35.0 ± 7.1", "–", "35.0 ± 7.1", "–"], ["15.0", "−20.0", "55.0", "+20.0"]]
    assert table.strong == {(0, 5), (0, 7), (0, 8), (1, 9)}
    assert "<dt>points of AP50 (area) gained by pre-training</dt><dd>+20.0</dd>" in page


def test_what_is_written_alike_is_not_set_apart(make_run: Callable[[], Path]) -> None:
    run = make_run()
    for path in run.glob("evaluate/*-25-*/evaluation.parquet"):
        rows = [{**row, "ap": row["ap"] and 1e-5 * (row["pretrain"] == "mutdet")} for row in read_table(path).to_pylist()]
        write_table(path, rows, evaluation.SCHEMA)
    table = next(block for block in results_section(RunFolder(run), ReportSettings()).blocks if isinstance(block, Table))
    assert [row[5] for row in table.rows] == ["0.0 ± 0.0", "0.0"]
    assert not table.strong


def test_pictures_of_detections_show_one_of_the_seeds(make_run: Callable[[], Path]) -> None:
    galleries = [block for block in detections_section(RunFolder(make_run()), ReportSettings()).blocks if isinstance(block, Gallery)]
    assert galleries
    for gallery in galleries:
        assert gallery.columns == ["labels", "none-0", "none-25-s0", "mutdet-0", "mutdet-25-s0"]
        assert "the first is shown" in gallery.caption
        assert all(len(row) == len(gallery.columns) for row in gallery.rows)


def findings(run: Path) -> list[list[str]]:
    """What is written below the pictures of the evaluated tiles: of labels, none-0, none-25-s0, mutdet-0, mutdet-25-s0."""
    blocks = detections_section(RunFolder(run), ReportSettings(picture_side=64)).blocks
    gallery = next(block for block in blocks if isinstance(block, Gallery) and "split val" in block.caption)
    return [[picture.caption for picture in row] for row in gallery.rows]


def change_detections(run: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    for path in run.glob("detect/*/detections.parquet"):
        write_table(path, change(read_table(path).to_pylist()), detections.SCHEMA)


def test_detections_are_judged_in_the_pixels_of_their_tile(make_run: Callable[[], Path]) -> None:
    run = make_run()
    known, path, place = findings(run), run / "partition" / "set" / "val" / "00-of-01.parquet", np.tile([100.0, 40.0], 4)
    write_table(path, [{**row, "x": 100, "y": 40, "scale": 2.0} for row in read_table(path).to_pylist()], tiles.SCHEMA)
    change_detections(run, lambda rows: [{**row, "polygon": np.array(row["polygon"]) / 2 + place} for row in rows])
    assert findings(run) == known
    assert all("found: 0" not in caption for row in known for caption in row)


def test_detections_are_judged_by_class_and_the_best_are_shown(make_run: Callable[[], Path]) -> None:
    run = make_run()
    known = findings(run)
    change_detections(run, lambda rows: rows + [{**row, "polygon": [1.0, 1, 3, 1, 3, 3, 1, 3], "score": row["score"] - 0.5} for row in rows])
    assert findings(run) == known
    others = {"car": "ship", "ship": "car", "object": "object"}
    change_detections(run, lambda rows: [{**row, "category": others[row["category"]]} for row in rows])
    classed = [2, 4]
    for row, before in zip(findings(run), known, strict=True):
        assert [caption if place not in classed else "found: 0 of 3" for place, caption in enumerate(before)] == row


def test_crops_of_a_cluster_are_its_most_typical_objects(make_run: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run()
    path = run / "pseudo_labels" / "k" / "set" / "00-of-01.parquet"
    rows = [{**row, "similarity": 0.5 + number / 50} for number, row in enumerate(read_table(path).to_pylist())]
    write_table(path, rows, read_table(path).schema)
    cut: list[float] = []
    monkeypatch.setattr(cluster_pictures, "rotated_crops", lambda image, boxes, *rest: cut.extend(boxes[:, 0].tolist()) or rotated_crops(image, boxes, *rest))
    clusters_section(RunFolder(run), ReportSettings(crops=2))
    # Five tiles hold an object of each of three clusters; the last two are nearest to the centres.
    np.testing.assert_allclose(sorted(cut), sorted(row["cx"] for row in rows[-6:]), rtol=1e-6)


def test_crops_of_a_cluster_show_what_the_backbone_saw(make_run: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run, factors = make_run(), []
    monkeypatch.setattr(cluster_pictures, "rotated_crops", lambda *given: factors.append(given[3]) or rotated_crops(*given))
    clusters_section(RunFolder(run), ReportSettings())
    write_provenance(run / "codebook" / "k" / "codebook.safetensors", settings={"embed": "wide"})
    for name, enlarge in (("narrow", 1.0), ("wide", 2.0)):
        write_provenance(run / "embed" / name / "set" / "00-of-01.parquet", settings={"enlarge": enlarge})
    clusters_section(RunFolder(run), ReportSettings())
    assert factors == [1.5] * (len(factors) // 2) + [2.0] * (len(factors) // 2)


def test_recall_before_fine_tuning_is_a_mean_over_seeds_at_every_threshold(make_run: Callable[[], Path]) -> None:
    run = make_run()
    source = run / "evaluate" / "mutdet-0" / "evaluation.parquet"
    rows = [{**row, "experiment": "mutdet-0-s1", "recall": row["recall"] + 0.2} for row in read_table(source).to_pylist()]
    write_table(run / "evaluate" / "mutdet-0-s1" / "evaluation.parquet", rows, evaluation.SCHEMA)
    table = next(block for block in results_section(RunFolder(run), ReportSettings()).blocks if isinstance(block, Table) and "recall" in block.caption)
    shown = {row[0]: row[2:] for row in table.rows}
    first, seconds = shown["none-0"], shown["mutdet-0"]
    assert seconds[:2] == ["70.0 ± 14.1", "40.0 ± 14.1"]
    assert "–" not in first[:2]


@pytest.fixture
def shown_lines(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, list[Any]]]:
    """Curves that the charts of lines show, by caption and name."""
    shown: dict[str, dict[str, list[Any]]] = {}

    def record(curves: dict[str, list[Any]], caption: str, *labels: str, **options: bool) -> Picture:
        shown[caption] = dict(curves)
        return lines(curves, caption, *labels, **options)

    for module in (results, trainings):
        monkeypatch.setattr(module, "lines", record)
    return shown


def test_curves_are_precision_over_recall(make_run: Callable[[], Path], shown_lines: dict[str, dict[str, list[Any]]]) -> None:
    results_section(RunFolder(make_run()), ReportSettings())
    ((recall, precision),) = shown_lines["car: precision against recall at IoU 0.5"]["mutdet-25"]
    np.testing.assert_allclose(recall, np.linspace(0, 0.8, 20), atol=1e-6)
    np.testing.assert_allclose(precision, 1 - recall / 2, atol=1e-6)


def test_terms_of_the_loss_are_added_up_over_layers(make_run: Callable[[], Path], shown_lines: dict[str, dict[str, list[Any]]]) -> None:
    trainings.trainings_section(RunFolder(make_run()), ReportSettings())
    terms = shown_lines["Fine-tuning mutdet-25-s0: terms of the loss, layers and branches added up"]
    ((steps, values),) = terms["class"]
    assert list(terms) == ["class"]
    np.testing.assert_allclose(values, 5.0 / np.array(steps), rtol=1e-6)


@pytest.mark.parametrize(("difference", "written"), [(0.2, "+20.0"), (-0.2, "−20.0"), (-4e-4, "0.0"), (4e-4, "0.0"), (0.0, "0.0"), (-6e-4, "−0.1")])
def test_differences_that_round_to_nothing_have_no_sign(difference: float, written: str) -> None:
    assert points(difference) == written


def test_tables_cut_into_other_numbers_of_shards_do_not_count_twice(make_run: Callable[[], Path]) -> None:
    run = make_run()
    known = render(run, shards=1)
    for path in [*run.rglob("00-of-01.parquet")]:
        shutil.copy(path, path.with_name("00-of-02.parquet"))
    assert render(run, shards=1) == known
    assert render(run) != known


def test_seeds_share_a_column_and_a_look(make_run: Callable[[], Path]) -> None:
    run = make_run()
    section = results_section(RunFolder(run), ReportSettings())
    by_class = next(block for block in section.blocks if isinstance(block, Table) and block.headers[0] == "class")
    assert by_class.headers[2:] == ["none-25", "mutdet-25"]
    assert [row[2:] for row in by_class.rows] == [["45.0 ± 7.1", "60.0"], ["25.0 ± 7.1", "40.0"]]
    charts = [drawing(picture) for block in section.blocks if isinstance(block, Charts) for picture in block.pictures]
    assert all(svg.count(">none-25<") == 1 and "none-25-s0" not in svg for svg in charts)


@pytest.mark.parametrize("entries", [2, 14])
def test_a_legend_lies_outside_of_the_bars_and_inside_of_the_picture(entries: int) -> None:
    svg = ElementTree.fromstring(drawing(bars(["car"], {f"experiment-{number}-100": [1.0] for number in range(entries)}, "c", "AP50")))
    width = float(svg.attrib["viewBox"].split()[2])
    frame = svg.find(".//*[@id='patch_2']/")
    texts = svg.findall(".//*[@id='legend_1']//{*}text")
    assert frame is not None
    top = min(float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", frame.attrib["d"]))
    assert len(texts) == entries
    assert all(0 < float(text.attrib["x"]) < width - 60 and 6 < float(text.attrib["y"]) < top for text in texts)


@pytest.mark.parametrize("stage", STAGES)
def test_an_absent_stage_is_left_out_with_a_sentence(make_run: Callable[[], Path], stage: str) -> None:
    run = make_run()
    shutil.rmtree(run / stage)
    page = render(run, tiles=1, clusters=2, crops=1)
    assert re.search(r"<p>(There (is|are) no|This run has no|Nothing has been|No )", page)


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    sections = render(tmp_path).split("<section")[1:]
    assert len(sections) == 9
    assert all("<p>" in section for section in sections)


def test_a_run_with_empty_tables_has_a_page(make_run: Callable[[], Path]) -> None:
    run = make_run()
    write_table(run / "masks" / "sam" / "set" / "00-of-01.parquet", [], masks.SCHEMA)
    write_table(run / "boxes" / "b" / "set" / "00-of-01.parquet", [], boxes.SCHEMA)
    page = render(run)
    assert "no tile has one" in page
    assert "Boxes b: there are none" in page


def test_missing_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        report(ReportPageFiles(run=tmp_path / "absent", output=tmp_path / "index.html"), ReportSettings(), Runtime())


def test_names_are_escaped(make_run: Callable[[], Path]) -> None:
    run = make_run()
    (run / "boxes" / "b").rename(run / "boxes" / "<script>")
    assert "<script>" not in render(run, tiles=1)


def test_times_of_jobs_add_up_and_do_not_depend_on_dates_of_files(make_run: Callable[[], Path]) -> None:
    run = make_run()
    (run / "benchmarks" / "masks" / "b.tsv").write_text("s\th:m:s\tmax_rss\n9.5\t0:00:09\tNA\n")
    os.utime(run / "benchmarks" / "masks" / "a.tsv", (0, 0))
    section = resources_section(RunFolder(run), ReportSettings(budgets={"masks": 30}))
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert table.rows[0] == ["masks", "2", "40 s", "30 s", "30 s", "512 MB"]
    assert table.rows[-1][:3] == ["all", "3", "2.7 min"]


def test_detections_are_shown_on_the_tiles_of_the_other_pictures(make_run: Callable[[], Path]) -> None:
    run = make_run()
    sections = {part.split('"', 2)[1]: part for part in render(run).split("<section id=")[1:]}
    chosen = {row["tile_id"] for row in read_table(run / "report" / "tiles" / "set.parquet").to_pylist()}
    shown = set(re.findall(r'class="name">([^<]+)<', sections["pictures"]))
    training, evaluated = sections["detections"].split("split val")
    assert chosen == shown == set(re.findall(r'class="name">([^<]+)<', training))
    assert "training images" in training
    assert not chosen & set(re.findall(r'class="name">([^<]+)<', evaluated))


def test_tiles_without_labels_are_not_judged(make_run: Callable[[], Path]) -> None:
    run = make_run()
    path = run / "report" / "tiles" / "set.parquet"
    write_table(path, [{**row, "labels": []} for row in read_table(path).to_pylist()], tiles.SCHEMA)
    assert "There are no labels on the tiles of set" in render(run)


@pytest.mark.parametrize("values", [np.ones(5), np.full(3, 0.1, np.float32), np.array([3]), np.array([1, 1000]), np.array([0.0, 1e-9])])
def test_histograms_of_odd_values(values: np.ndarray) -> None:
    assert histogram(values, "caption", "x").source.startswith("data:image/svg+xml")


def test_charts_repeat_to_the_byte() -> None:
    for draw in (lambda: lines({"a": [([1, 2], [3.0, 400.0])], "b": [([1], [2.0])]}, "c", "x", "y"), lambda: bars(["a"], {"s": [1.0], "t": [2.0]}, "c", "x")):
        assert draw() == draw()


def test_chosen_tiles_have_objects_first() -> None:
    chosen = choose([f"t{i}" for i in range(20)], {"t3": 1, "t7": 2}, 3, seed=0)
    assert {"t3", "t7"} < set(chosen)
    assert chosen == sorted(chosen)
    assert choose(["a"], {}, 3, seed=0) == ["a"]


def test_outlines_lie_on_the_edges_of_pixels() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    drawn = draw_outlines(image, np.array([[[5, 5], [15, 5], [15, 15], [5, 15]]]), [GREEN])
    green = np.argwhere(drawn[..., 1] > 200)
    np.testing.assert_allclose(green.mean(axis=0) + 0.5, [10, 10], atol=0.6)
    assert not drawn[10, 10].any()
    assert not image.any()


def test_masks_colour_their_own_pixels() -> None:
    pixels = np.zeros((16, 16), np.uint8, order="F")
    pixels[4:8, 2:6] = 1
    drawn = draw_masks(np.zeros((16, 16, 3), np.uint8), [coco.encode(pixels)], 16)
    np.testing.assert_array_equal(drawn.any(axis=2), pixels > 0)
