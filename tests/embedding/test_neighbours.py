"""Probes on labels: a vote among neighbours of other images, on the crops that stage embed would take."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from drawn_tables import draw_tables
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from tiny_backbone import seeded_tiny_backbone

from mutdet.embedding.label_probe import LabelProbe
from mutdet.embedding.labelled_crops import embed_boxes, read_labelled_boxes
from mutdet.embedding.neighbours import neighbour_accuracy
from mutdet.settings.embed import EmbedSettings
from mutdet.settings.errors import UserError
from mutdet.settings.stages import STAGES
from mutdet.tables import tiles
from mutdet.tables.write import write_table

SETTINGS = EmbedSettings(boxes="b", backbone="b", crop=32, batch=8)


def clouds(seed, count=60, apart=1.0):
    random = np.random.default_rng(seed)
    categories = random.integers(0, 3, count)
    vectors = apart * np.eye(3)[categories] + random.normal(0, 0.5, (count, 3)) + 5.0
    return vectors, categories, random.integers(0, 6, count)


@pytest.mark.parametrize("neighbours", [1, 4])
def test_votes_are_scikit_learns_image_by_image(neighbours):
    """scikit-learn's distance is 1 - cosine, so that votes of 1 + cosine are 2 less the distance."""
    vectors, categories, groups = clouds(0)
    centred = vectors - vectors.mean(0)
    predicted = np.empty_like(categories)
    for group in np.unique(groups):
        own = groups == group
        predicted[own] = (
            KNeighborsClassifier(neighbours, metric="cosine", weights=lambda distance: 2 - distance).fit(centred[~own], categories[~own]).predict(centred[own])
        )
    expected = balanced_accuracy_score(categories, predicted)
    assert neighbour_accuracy(vectors, categories, groups, neighbours) == pytest.approx(expected)


def test_clear_clouds_are_told_apart_and_shuffled_ones_are_not():
    vectors, categories, groups = clouds(1, 600, apart=6.0)
    assert neighbour_accuracy(vectors, categories, groups, 10) > 0.99
    shuffled = np.random.default_rng(0).permutation(categories)
    assert neighbour_accuracy(vectors, shuffled, groups, 10) == pytest.approx(1 / 3, abs=0.07)


def test_a_category_of_one_image_is_left_out_and_one_alone_is_refused():
    vectors, categories, groups = clouds(2, apart=6.0)
    lonely = np.append(categories, 7)
    assert neighbour_accuracy(np.vstack([vectors, [[9.0, 0, 0]]]), lonely, np.append(groups, 9), 3) == pytest.approx(
        neighbour_accuracy(vectors, categories, groups, 3), abs=0.05
    )
    with pytest.raises(UserError, match="two categories"):
        neighbour_accuracy(vectors, np.zeros(len(vectors)), groups, 3)
    with pytest.raises(UserError, match="two categories"):
        neighbour_accuracy(np.zeros((0, 3)), np.zeros(0, object), np.zeros(0, object), 3)


def test_boxes_are_those_of_the_labels_and_the_limit_is_nested(tmp_path):
    drawn = draw_tables(tmp_path, 5, objects=3, shards=2)
    every = read_labelled_boxes(drawn.tiles, 1000)
    named = [name for path in (0, 1) for tile in sorted(drawn.names)[path::2] for name in drawn.names[tile]]
    assert every.categories.tolist() == named
    for row, category in zip(every.rows, every.categories, strict=True):
        box = drawn.boxes[row["tile_id"]][row["mask_id"]]
        np.testing.assert_allclose([row[name] for name in ("cx", "cy", "w", "h", "angle")], box, atol=1e-3)
        assert drawn.names[row["tile_id"]][row["mask_id"]] == category
    assert read_labelled_boxes(draw_tables(tmp_path / "tiny", 2, side=24).tiles, 9).rows == []  # their short sides are under 3 pixels
    few, fewer = (read_labelled_boxes(drawn.tiles, limit) for limit in (6, 3))
    keys = [{(row["tile_id"], row["mask_id"]) for row in found.rows} for found in (every, few, fewer)]
    assert keys[2] < keys[1] < keys[0]
    vectors = embed_boxes(seeded_tiny_backbone(), drawn.tiles, every, SETTINGS, torch.device("cpu"))
    part = embed_boxes(seeded_tiny_backbone(), drawn.tiles, few, SETTINGS, torch.device("cpu"))
    chosen = [index for index, row in enumerate(every.rows) if (row["tile_id"], row["mask_id"]) in keys[1]]
    np.testing.assert_array_equal(vectors[chosen], part)
    assert embed_boxes(seeded_tiny_backbone(), drawn.tiles, read_labelled_boxes(drawn.tiles, 0), SETTINGS, torch.device("cpu")).shape == (0, 8)


@pytest.mark.parametrize(("changed", "value"), [("probe_objects", 12), ("probe_neighbours", 5), ("crop_size", 48)])
def test_the_probe_of_a_training_is_that_vote_with_its_settings(tmp_path, changed, value):
    random = np.random.default_rng(0)  # names that crops do not tell, so that every vote is close
    rows = pq.read_table(draw_tables(tmp_path, 8, side=96).tiles[0]).to_pylist()
    for label in [label for row in rows for label in row["labels"]]:
        label["category"] = str(random.choice(["car", "ship"]))
    tables = [tmp_path / "named.parquet"]
    write_table(tables[0], rows, tiles.SCHEMA)
    figures = []
    for values in ({}, {changed: value}):
        settings = STAGES["backbone"].validate({"method": "byol", "crop_size": 32, "probe_objects": 24, "probe_neighbours": 2, **values})
        boxes = read_labelled_boxes(tables, settings.probe_objects)
        crops = EmbedSettings(boxes="b", backbone="b", crop=settings.crop_size)
        vectors = embed_boxes(seeded_tiny_backbone(), tables, boxes, crops, torch.device("cpu"))
        expected = neighbour_accuracy(vectors, boxes.categories, boxes.images, settings.probe_neighbours)
        figures.append(LabelProbe(tables, settings, torch.device("cpu")).accuracy(seeded_tiny_backbone()))
        assert figures[-1] == pytest.approx(expected)
    assert figures[0] != figures[1]
