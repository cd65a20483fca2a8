"""Targets read from tables: rows stay whole, whatever is filtered."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn_tables import CATEGORIES, TINY, draw_tables

from mutdet.settings.errors import UserError
from mutdet.settings.training import BoxTrainingSettings
from mutdet.tables.vectors import column_to_vectors
from mutdet.training.labelled_objects import categories_of_images, read_labelled_objects
from mutdet.training.objects import used_tiles
from mutdet.training.pseudo_objects import read_pseudo_objects
from mutdet.training.tile_index import TileIndex


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_tables(tmp_path_factory.mktemp("drawn"), 6, shards=2)


def _rows(drawn, tile_id):
    table = pa.concat_tables(map(pq.read_table, drawn.pseudo_labels))
    chosen = table.filter(pa.compute.equal(table["tile_id"], tile_id))
    vectors = column_to_vectors(chosen["embedding"])
    return [(row["score"], row["cx"], row["category"], vectors[number].tolist(), min(row["w"], row["h"])) for number, row in enumerate(chosen.to_pylist())]


@pytest.mark.parametrize(("min_side", "limit"), [(0.0, 12), (10.0, 12), (0.0, 2), (10.0, 1), (99.0, 5)])
def test_box_class_and_embedding_of_a_pseudo_object_stay_together(drawn, min_side, limit):
    index = TileIndex.read(drawn.tiles)
    packed = read_pseudo_objects(drawn.pseudo_labels, index, min_side, limit, TINY.width)
    for number, tile_id in enumerate(index.tile_ids):
        found = packed[number]
        expected = sorted((row for row in _rows(drawn, tile_id) if row[4] >= min_side), reverse=True)[:limit]
        assert list(zip(found.boxes[:, 0].tolist(), found.labels.tolist(), found.embeddings.tolist(), strict=True)) == [row[1:4] for row in expected]


def test_index_is_sorted_and_points_at_its_rows(drawn):
    index = TileIndex.read(drawn.tiles)
    assert list(index.tile_ids) == sorted(drawn.boxes)
    reader = index.reader(["tile_id"])
    assert [reader[int(position)]["tile_id"] for position in index.positions] == list(index.tile_ids)


def test_embeddings_of_another_length_are_refused(drawn):
    with pytest.raises(UserError, match="32 components, the detector is 64 wide"):
        read_pseudo_objects(drawn.pseudo_labels, TileIndex.read(drawn.tiles), 0.0, 5, 64)


def test_pseudo_label_of_an_unknown_tile_is_refused(drawn):
    with pytest.raises(UserError, match=r"img01.*not among the tiles"):
        read_pseudo_objects(drawn.pseudo_labels, TileIndex.read(drawn.tiles[:1]), 0.0, 5, None)


def test_same_tile_twice_is_refused(drawn):
    with pytest.raises(UserError, match="twice"):
        TileIndex.read([*drawn.tiles, drawn.tiles[0]])


def test_labels_become_boxes_of_their_class(drawn):
    index = TileIndex.read(drawn.tiles)
    packed = read_labelled_objects(index, sorted(CATEGORIES), [], 0.0)
    for number, tile_id in enumerate(index.tile_ids):
        np.testing.assert_allclose(packed[number].boxes, drawn.boxes[tile_id], atol=1e-3)
        assert [sorted(CATEGORIES)[label] for label in packed[number].labels] == drawn.names[tile_id]


def test_labels_with_a_short_side_give_no_target(drawn):
    """Cars are 10.6 px wide, ships 9.6 px; a side as short as the limit is not shorter."""
    index = TileIndex.read(drawn.tiles)
    packed = read_labelled_objects(index, sorted(CATEGORIES), [], 10.0)
    assert len(packed.boxes) == sum(names.count("car") for names in drawn.names.values()) > 0
    assert set(packed.labels.tolist()) == {sorted(CATEGORIES).index("car")}
    assert len(read_labelled_objects(index, sorted(CATEGORIES), [], 99.0).boxes) == 0


def test_ignored_categories_give_no_target_and_unknown_ones_an_error(drawn):
    index = TileIndex.read(drawn.tiles)
    packed = read_labelled_objects(index, ["ship"], ["car"], 0.0)
    assert len(packed.boxes) == sum(names.count("ship") for names in drawn.names.values())
    assert set(packed.labels.tolist()) == {0}
    with pytest.raises(UserError, match="unknown category 'car'"):
        read_labelled_objects(index, ["ship"], [], 0.0)


def test_empty_tiles_are_skipped_or_kept(drawn):
    index = TileIndex.read(drawn.tiles)
    packed = read_pseudo_objects(drawn.pseudo_labels, index, 0.0, 12, None)
    kept, objects = used_tiles(index, packed, BoxTrainingSettings(empty_tiles="skip"))
    assert set(index.tile_ids) - set(kept.tile_ids) == {name for name, boxes in drawn.boxes.items() if len(boxes) == 0} != set()
    for number, tile_id in enumerate(kept.tile_ids):
        np.testing.assert_array_equal(objects[number].boxes[:, :2], drawn.boxes[tile_id][:, :2])
    assert len(used_tiles(index, packed, BoxTrainingSettings(empty_tiles="keep"))[0]) == 6
    with pytest.raises(UserError, match="no tile has an object"):
        used_tiles(index, read_pseudo_objects(drawn.pseudo_labels, index, 500.0, 12, None), BoxTrainingSettings())


def test_categories_of_a_split():
    images = pa.table({"image_id": ["a", "b", "c"], "split": [["train", "val"], ["train"], ["val"]]})
    labels = pa.table({"image_id": ["a", "a", "c", "a"], "category": ["ship", "noise", "car", "ship"]})
    assert categories_of_images(images, labels, "train", ["noise"]) == {"a": {"ship"}, "b": set()}
