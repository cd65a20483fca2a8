"""Codebook and pseudo labels: shards, small numbers, mismatches, and the independent check."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mutdet.settings.base import Runtime
from mutdet.settings.codebook import CodebookFiles, CodebookSettings
from mutdet.settings.errors import UserError
from mutdet.settings.pseudo_labels import PseudoLabelsFiles, PseudoLabelsSettings
from mutdet.stages import codebook, pseudo_labels
from mutdet.tables.read import read_table
from mutdet.tables.vectors import column_to_vectors
from mutdet.tables.write import write_json

SETTINGS = CodebookSettings(embed="e", components=8, clusters=6)
SHARED = Path(__file__).parents[2].parent / "shared"


def objects(count: int, width: int = 24) -> tuple[list[tuple[str, int]], np.ndarray]:
    keys = sorted((f"image{i % 11:02d}__64__0___0", i) for i in range(count))
    random = np.random.default_rng(0)
    return keys, random.normal(size=(count, width)) + 4 * random.normal(size=(6, width))[random.integers(0, 6, count)] + 2


def fit(tmp_path: Path, embeddings: list[Path], name: str = "k", settings: CodebookSettings = SETTINGS) -> CodebookFiles:
    files = CodebookFiles(embeddings=embeddings, output=tmp_path / name / "codebook.safetensors", cluster_table=tmp_path / name / "clusters.parquet")
    codebook.run(files, settings, Runtime())
    return files


def label(tmp_path: Path, boxes: Path, embeddings: Path, book: Path, rows: int = 4096) -> Path:
    files = PseudoLabelsFiles(boxes=boxes, embeddings=embeddings, codebook=book, output=tmp_path / f"pseudo-{rows}.parquet")
    pseudo_labels.run(files, PseudoLabelsSettings(rows=rows), Runtime())
    return files.output


def test_shards_do_not_change_a_byte(write_embeddings: Callable, tmp_path: Path) -> None:
    keys, vectors = objects(3000)
    one = fit(tmp_path, [write_embeddings("one.parquet", keys, vectors)], "one")
    owner = np.array([int(key[0][5:7]) % 4 for key in keys])
    parts = [write_embeddings(f"{s}", [k for k, o in zip(keys, owner, strict=True) if o == s], vectors[owner == s]) for s in (2, 0, 3, 1)]
    four = fit(tmp_path, parts, "four")
    assert one.output.read_bytes() == four.output.read_bytes()
    assert one.cluster_table.read_bytes() == four.cluster_table.read_bytes()


def test_a_sample_is_enough_and_is_deterministic(write_embeddings: Callable, tmp_path: Path) -> None:
    keys, vectors = objects(3000)
    path = write_embeddings("e", keys, vectors)
    settings = SETTINGS.model_copy(update={"sample_rows": 400, "restarts": 3})
    first, second = fit(tmp_path, [path], "a", settings), fit(tmp_path, [path], "b", settings)
    assert first.output.read_bytes() == second.output.read_bytes()
    clusters = read_table(first.cluster_table)
    assert sum(clusters["size"].to_pylist()) == 3000
    assert clusters["size"].to_pylist() == sorted(clusters["size"].to_pylist(), reverse=True)
    assert min(clusters["mean_similarity"].to_pylist()) > 0.8


@pytest.mark.parametrize("settings", [{"sample_rows": 8, "clusters": 8}, {"iterations": 1}], ids=["sample", "first centres"])
def test_seed_draws_the_sample_and_the_first_centres(write_embeddings: Callable, tmp_path: Path, settings: dict[str, int]) -> None:
    """Directions without groups: as many centres as sampled rows are these rows, and after one iteration on all rows centres are near the first ones."""
    path = write_embeddings("e", objects(300)[0], np.random.default_rng(0).normal(size=(300, 24)))
    books = [fit(tmp_path, [path], f"{seed}", SETTINGS.model_copy(update={**settings, "seed": seed})) for seed in (0, 1)]
    first, other = (np.sort(load_file(book.output)["centres"], axis=0) for book in books)
    assert np.abs(first - other).max() > 0.1


def test_tensors(write_embeddings: Callable, tmp_path: Path) -> None:
    book = load_file(fit(tmp_path, [write_embeddings("e", *objects(100))]).output)
    shapes = {name: tensor.shape for name, tensor in book.items()}
    assert shapes == {"mean": (24,), "components": (8, 24), "explained_variance": (8,), "total_variance": (1,), "centres": (6, 8)}
    assert book["explained_variance"].sum() < book["total_variance"][0]
    np.testing.assert_allclose(np.linalg.norm(book["centres"], axis=1), 1, atol=1e-6)


def flat_objects(count: int) -> tuple[list[tuple[str, int]], np.ndarray]:
    """Two kinds of object that differ in the second number, under a first number of forty times its size that tells nothing."""
    keys, vectors = objects(count)
    vectors[:, 0], vectors[:, 1] = 400 * np.random.default_rng(1).normal(size=count), 10 * (np.arange(count) % 2)
    vectors[:, 2:] /= 10
    return keys, vectors


@pytest.mark.parametrize("whiten", [False, True])
def test_whitening_brings_out_what_varies_little(
    write_embeddings: Callable, write_boxes: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture, whiten: bool
) -> None:
    keys, vectors = flat_objects(400)
    path = write_embeddings("e", keys, vectors)
    files = fit(tmp_path, [path], settings=SETTINGS.model_copy(update={"components": 4, "clusters": 2, "whiten": whiten, "restarts": 4}))
    unit = column_to_vectors(read_table(label(tmp_path, write_boxes("b", keys), path, files.output))["embedding"]).astype(float)
    cosines = unit @ unit.T
    own, other = cosines[::2, ::2].mean(), cosines[::2, 1::2].mean()
    assert (own - other > 0.2) == whiten
    spread = json.loads(files.cluster_table.with_suffix(".json").read_text())["spread"]
    assert spread == pytest.approx(4.0, rel=1e-4) if whiten else 1.0 <= spread < 1.1
    assert ("directions of equal variance" in caplog.text) != whiten


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_objects(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path, count: int) -> None:
    keys, vectors = objects(count)
    path = write_embeddings("e", keys, vectors)
    files = fit(tmp_path, [path])
    book = load_file(files.output)
    assert len(book["centres"]) == count
    assert (book["components"][max(count - 1, 0) :] == 0).all()
    rows = read_table(label(tmp_path, write_boxes("b", keys), path, files.output))
    np.testing.assert_allclose(np.linalg.norm(column_to_vectors(rows["embedding"]), axis=1), 1, atol=2e-3)
    assert sorted(rows["category"].to_pylist()) == list(range(count))


def test_no_object_is_told(write_embeddings: Callable, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no object"):
        fit(tmp_path, [write_embeddings("e", *objects(0))])
    assert not (tmp_path / "k").exists()


def test_pseudo_labels_are_nearest_centres(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    keys, vectors = objects(500)
    path, boxes = write_embeddings("e", keys, vectors), write_boxes("b", keys)
    book = fit(tmp_path, [path]).output
    table = read_table(label(tmp_path, boxes, path, book))
    tensors = {name: tensor.astype(np.float64) for name, tensor in load_file(book).items()}
    y = (vectors.astype(np.float16) - tensors["mean"]) @ tensors["components"].T
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    cosines = y @ tensors["centres"].T
    np.testing.assert_allclose(column_to_vectors(table["embedding"]), y, atol=1e-3)
    assert table["category"].to_pylist() == cosines.argmax(1).tolist()
    np.testing.assert_allclose(table["similarity"].to_pylist(), cosines.max(1), atol=1e-5)
    assert table.select(["tile_id", "mask_id", "polygon", "score"]).equals(read_table(boxes, ["tile_id", "mask_id", "polygon", "score"]))


def test_clusters_are_told_as_the_pseudo_labels_have_them(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    keys, vectors = objects(500)
    path = write_embeddings("e", keys, vectors)
    files = fit(tmp_path, [path], settings=SETTINGS.model_copy(update={"sample_rows": 100}))
    table = read_table(label(tmp_path, write_boxes("b", keys), path, files.output))
    category, similarity = table["category"].to_numpy(), table["similarity"].to_numpy()
    for row in read_table(files.cluster_table).to_pylist():
        own = similarity[category == row["cluster"]]
        assert (row["size"], row["share"]) == (len(own), pytest.approx(len(own) / 500))
        assert (row["mean_similarity"], row["min_similarity"]) == (pytest.approx(own.mean()), pytest.approx(own.min()))


def test_rows_in_memory_do_not_change_a_byte(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    keys, vectors = objects(500)
    path, boxes = write_embeddings("e", keys, vectors), write_boxes("b", keys)
    book = fit(tmp_path, [path]).output
    assert label(tmp_path, boxes, path, book, rows=7).read_bytes() == label(tmp_path, boxes, path, book, rows=1000).read_bytes()


def test_no_objects_in_a_shard(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    book = fit(tmp_path, [write_embeddings("e", *objects(50))]).output
    assert len(read_table(label(tmp_path, write_boxes("b", []), write_embeddings("none", *objects(0)), book))) == 0


def test_other_objects_are_refused(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    keys, vectors = objects(50)
    path = write_embeddings("e", keys, vectors)
    book = fit(tmp_path, [path]).output
    for wrong in (keys[:-1], [*keys[:-1], ("z", 0)], [*keys, ("z", 0)]):
        with pytest.raises(UserError, match=r"differ|image10|z"):
            label(tmp_path, write_boxes("b", wrong), path, book)
    assert not list(tmp_path.glob("pseudo*"))


def test_other_backbone_is_refused(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    book = fit(tmp_path, [write_embeddings("e", *objects(50))]).output
    keys, vectors = objects(50, width=12)
    with pytest.raises(UserError, match="12 numbers"):
        label(tmp_path, write_boxes("b", keys), write_embeddings("f", keys, vectors), book)


def test_independent_check_agrees(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    script = SHARED / "checks" / "verify_tables.py"
    if not script.is_file():
        pytest.skip("../shared/checks/verify_tables.py is not here")
    spec = importlib.util.spec_from_file_location("verify_tables", script)
    assert spec is not None
    assert spec.loader is not None
    verify = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(verify)
    keys, vectors = objects(400)
    run = tmp_path / "run"
    for folder in ("boxes/b/d", "embed/e/d", "codebook/k", "pseudo_labels/k/d"):
        (run / folder).mkdir(parents=True)
    boxes = write_boxes("run/boxes/b/d/0.parquet", keys)
    embeddings = write_embeddings("run/embed/e/d/0.parquet", keys, vectors)
    book = fit(run / "codebook", [embeddings]).output
    pseudo_labels.run(
        PseudoLabelsFiles(boxes=boxes, embeddings=embeddings, codebook=book, output=run / "pseudo_labels/k/d/0.parquet"), PseudoLabelsSettings(), Runtime()
    )
    known = {"b": dict.fromkeys(keys)}
    verify.check_pseudo_labels(run, verify.check_embeddings(run, known))
    assert not verify.found


def test_provenance_files_are_no_codebook(write_embeddings: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    write_json(tmp_path / "book", {"a": 1})
    keys, vectors = objects(5)
    with pytest.raises(UserError, match="safetensors"):
        label(tmp_path, write_boxes("b", keys), write_embeddings("e", keys, vectors), tmp_path / "book")
