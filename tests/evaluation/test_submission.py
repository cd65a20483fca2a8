"""Task 1 files: written, read back, and refused where malformed."""

import numpy as np
import pytest

from mutdet.evaluation.objects import Detections
from mutdet.evaluation.submission import read_class_detections, submission_files, write_submission
from mutdet.settings.errors import UserError

LINE = "P0 0.5 0 0 4 0 4 2 0 2\n"


def detections():
    r = np.random.default_rng(0)
    polygons = np.round(r.uniform(-5, 900, (20, 4, 2)), 3)
    return Detections(r.integers(0, 3, 20), r.integers(-1, 2, 20), polygons, r.random(20).astype(np.float32).astype(np.float64))


def test_files_read_back(tmp_path):
    found, images = detections(), ["P0", "P 1", "P2__a__800"]
    write_submission(tmp_path / "new", found, images, ["ship", "large-vehicle", "plane"])
    files = submission_files(tmp_path / "new")
    assert list(files) == ["large-vehicle", "plane", "ship"]
    for number, name in enumerate(["ship", "large-vehicle"]):
        expected, content = found.take(found.category == number), read_class_detections(files[name])
        assert content.image_ids == [images[i] for i in expected.image]
        np.testing.assert_allclose(content.scores, expected.scores, rtol=1e-8)
        np.testing.assert_allclose(content.polygons, expected.polygons, atol=1e-9)
    assert len(read_class_detections(files["plane"]).scores) == 0


def test_byte_order_mark_line_ends_and_blank_lines(tmp_path):
    path = tmp_path / "Task1_ship.txt"
    path.write_bytes(b"\xef\xbb\xbf" + (LINE + "\n" + LINE).replace("\n", "\r\n").encode())
    assert read_class_detections(path).image_ids == ["P0", "P0"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("P0 0.5 0 0 4 0 4 2 0\n", "line 2: has 9 fields instead of 10"),
        ("P0 nan 0 0 4 0 4 2 0 2\n", "line 2: score or coordinate is not finite"),
        ("P0 0.5 0 0 4 0 inf 2 0 2\n", "line 2: score or coordinate is not finite"),
        ("P0 0.5 0 0 4 0 four 2 0 2\n", "line 2: 'four' is not a number"),
    ],
)
def test_malformed_lines_are_named(tmp_path, line, message):
    path = tmp_path / "Task1_ship.txt"
    path.write_text(LINE + line)
    with pytest.raises(UserError, match=f"Task1_ship.txt: {message}"):
        read_class_detections(path)


def test_no_text_no_folder_no_file(tmp_path):
    (tmp_path / "Task1_ship.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as text"):
        read_class_detections(tmp_path / "Task1_ship.txt")
    with pytest.raises(UserError, match="folder is missing"):
        submission_files(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no Task1"):
        submission_files(tmp_path / "empty")


def test_a_class_name_with_a_slash_comes_back(tmp_path):
    write_submission(tmp_path, detections(), ["a", "b", "c"], ["ship/boat", "plane"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Task1_plane.txt", "Task1_ship%2Fboat.txt"]
    assert sorted(submission_files(tmp_path)) == ["plane", "ship/boat"]
