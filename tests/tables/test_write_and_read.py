"""Tables appear whole or not at all, and their bytes depend on their rows alone."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mutdet.settings.errors import UserError
from mutdet.tables import embeddings, read, tiles
from mutdet.tables.read import RandomReader, iterate_row_groups, iterate_rows, open_table, read_table
from mutdet.tables.vectors import column_to_vectors, vectors_to_column
from mutdet.tables.write import TableWriter, write_table


def tile(number):
    labels = [{"polygon": [float(number)] * 8, "category": "ship", "difficulty": 0}] * (number % 3)
    values = {"dataset": "d", "image_id": "a", "x": number, "y": 0, "width": 4, "height": 4, "scale": 1.0, "content_fraction": 1.0}
    return {"tile_id": f"a{number:03}", **values, "image": bytes([number]) * 100, "labels": labels}


ROWS = [tile(number) for number in range(50)]


def write_tiles(path, parts):
    with TableWriter(path, tiles.SCHEMA, rows_per_group=16, uncompressed=["image"]) as writer:
        for part in parts:
            writer.write(part)


def test_bytes_do_not_depend_on_how_rows_arrive(tmp_path):
    write_tiles(tmp_path / "a.parquet", [ROWS])
    write_tiles(tmp_path / "b.parquet", [ROWS[:7], [], ROWS[7:40], ROWS[40:]])
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_row_groups_are_small_and_images_are_not_compressed_twice(tmp_path):
    write_tiles(tmp_path / "a.parquet", [ROWS])
    metadata = pq.ParquetFile(tmp_path / "a.parquet").metadata
    columns = {metadata.row_group(0).column(i).path_in_schema: metadata.row_group(0).column(i).compression for i in range(metadata.num_columns)}
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [16, 16, 16, 2]
    assert columns["image"] == "UNCOMPRESSED"
    assert {kind for name, kind in columns.items() if name != "image"} == {"ZSTD"}


def test_rows_come_back(tmp_path):
    write_tiles(tmp_path / "a.parquet", [ROWS])
    assert list(iterate_rows(tmp_path / "a.parquet")) == ROWS


def test_an_exception_leaves_nothing(tmp_path):
    def stop_halfway():
        with TableWriter(tmp_path / "a.parquet", tiles.SCHEMA) as writer:
            writer.write(ROWS)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop_halfway()
    assert list(tmp_path.iterdir()) == []


def test_an_exception_keeps_the_table_that_was_there(tmp_path):
    write_tiles(tmp_path / "a.parquet", [ROWS])
    before = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(pa.ArrowInvalid):
        write_table(tmp_path / "a.parquet", [{**tile(0), "x": "no number"}], tiles.SCHEMA)
    assert (tmp_path / "a.parquet").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_random_reader_finds_rows_over_several_files(tmp_path):
    write_tiles(tmp_path / "a.parquet", [ROWS[:20]])
    write_tiles(tmp_path / "b.parquet", [[]])
    write_tiles(tmp_path / "c.parquet", [ROWS[20:]])
    reader = RandomReader([tmp_path / f"{name}.parquet" for name in "abc"])
    assert len(reader) == 50
    assert [reader[i]["tile_id"] for i in (49, 0, 19, 20, 16)] == [ROWS[i]["tile_id"] for i in (49, 0, 19, 20, 16)]
    with pytest.raises(IndexError):
        reader[50]


def test_random_reader_opens_each_file_once_and_names_one_that_is_gone(tmp_path, monkeypatch):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in paths:
        write_tiles(path, [ROWS])
    reader, gone = RandomReader(paths), RandomReader(paths)
    opened = []
    original = read.open_table
    monkeypatch.setattr(read, "open_table", lambda path: opened.append(path) or original(path))
    assert [reader[i]["tile_id"] for i in (0, 40, 60, 20, 90)] == [ROWS[i % 50]["tile_id"] for i in (0, 40, 60, 20, 90)]
    assert opened == paths
    paths[1].unlink()
    with pytest.raises(UserError, match=r"b\.parquet: table is missing"):
        gone[60]


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_vectors_round_to_float16_and_come_back(tmp_path, rows):
    vectors = np.random.default_rng(0).normal(size=(rows, 8)).astype(np.float32)
    columns = [pa.array([str(i) for i in range(rows)], pa.string()), pa.array(range(rows), pa.int32()), vectors_to_column(vectors)]
    write_table(tmp_path / "a.parquet", pa.table(columns, schema=embeddings.schema(8)), embeddings.schema(8))
    table = read_table(tmp_path / "a.parquet")
    np.testing.assert_array_equal(column_to_vectors(table["embedding"]), vectors.astype("<f2").astype(np.float32))
    assert table.schema.field("embedding").metadata[b"vector_length"] == b"8"


def test_sliced_vector_columns_start_at_their_own_first_row():
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(column_to_vectors(vectors_to_column(vectors).slice(1, 2)), vectors[1:3])


def test_missing_truncated_and_foreign_tables_are_named(tmp_path):
    whole = tmp_path / "whole.parquet"
    write_tiles(whole, [ROWS])
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "text.parquet").write_text("no table")
    for name, reason in (("absent", "missing"), ("cut", "no complete Parquet"), ("text", "no complete Parquet")):
        with pytest.raises(UserError, match=rf"{name}\.parquet: .*{reason}"):
            open_table(tmp_path / f"{name}.parquet")
    with pytest.raises(UserError, match=r"lacks the columns counts"):
        open_table(whole, ["tile_id", "counts"])


WAYS = {
    "whole": lambda path: read_table(path),
    "rows": lambda path: list(iterate_rows(path)),
    "row groups": lambda path: list(iterate_row_groups(path, ["tile_id", "labels"])),
    "at random": lambda path: [RandomReader([path])[position] for position in (0, 20, 40)],
}


@pytest.mark.parametrize("way", WAYS)
def test_damaged_pages_are_told_in_one_line(tmp_path, way):
    path, told = tmp_path / "a.parquet", []
    write_tiles(path, [ROWS])
    whole, random = np.frombuffer(path.read_bytes(), np.uint8), np.random.default_rng(0)
    footer = int.from_bytes(whole[-8:-4].tobytes(), "little") + 8
    for _ in range(40):
        damaged = whole.copy()
        start = random.integers(4, len(whole) - footer - 40)
        damaged[start : start + 40] = random.integers(0, 256, 40)
        path.write_bytes(damaged.tobytes())
        try:
            WAYS[way](path)
        except UserError as error:
            told.append(str(error))
    assert len(told) > 5
    assert all(text.startswith(f"{path}: cannot be read") for text in told)
