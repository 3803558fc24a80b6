"""DOTA's layout and label files."""

from pathlib import Path

import numpy as np
import pytest

from fdam_mm.data.formats.dota import Labels, find_pictures, format_labels, read_labels
from fdam_mm.errors import LabelError, LayoutError

LINE = "1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 plane 0"


def write(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_labels(tmp_path: Path) -> None:
    text = (
        f"\ufeffimagesource:GoogleEarth\r\ngsd:null\r\n\r\n{LINE}\r\n0 0 9 0 9 9.25 0 9 ship 1\r\n"
    )
    labels = read_labels(write(tmp_path / "a.txt", text))
    assert labels.corners[0].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert labels.corners[1, 2].tolist() == [9, 9.25]
    assert labels.categories == ["plane", "ship"]
    assert labels.difficult == [0, 1]


def test_no_labels(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path / "a.txt", "imagesource:x\ngsd:0.1\n"))
    assert labels.corners.shape == (0, 4, 2)
    assert format_labels(labels) == ""


@pytest.mark.parametrize(
    "header",
    [
        b"imagesource:GoogleEarth\ngsd:0.5\nacquisition dates: 2016-05-04\nangle:12",
        b"Image Source: \xc4 caf\xe9\nGSD:null",  # bytes that are not UTF-8
        b"\xef\xbb\xbfimageid:7\r\nresolution : 0.3 m\r",
    ],
)
def test_headers(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(header + f"\n{LINE}\n".encode())
    assert read_labels(tmp_path / "a.txt").categories == ["plane"]


@pytest.mark.parametrize("line", [b"remark: none", b"1 2 3 4 5 6 7 8 caf\xe9 0"])
def test_no_headers_after_an_object(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(f"{LINE}\n".encode() + line)
    with pytest.raises(LabelError, match=r"a\.txt"):
        read_labels(tmp_path / "a.txt")


def test_difficulty_may_be_left_out(tmp_path: Path) -> None:
    assert read_labels(write(tmp_path / "a.txt", LINE[:-2])).difficult == [0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3 4 plane 0", "6 items, expected x1 y1 x2 y2 x3 y3 x4 y4 category difficult"),
        (f"{LINE} 5", "11 items"),
        (LINE.replace("3.0", "x"), "could not convert string to float: 'x', expected 8 numbers"),
        (LINE.replace("3.0", "nan"), "expected finite numbers"),
        (LINE.replace("3.0", "1e308"), "expected pixels near the picture"),
        (LINE.replace("plane 0", f"plane {'1' * 5000}"), "difficulty '1+', expected 0 or 1"),
        (LINE.replace("plane 0", "plane easy"), "difficulty 'easy', expected 0 or 1"),
    ],
)
def test_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = write(tmp_path / "a.txt", f"gsd:1\n{LINE}\n{line}\n")
    with pytest.raises(LabelError, match=rf"a\.txt:3: .*{message}"):
        read_labels(file)


def test_no_text_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x89PNG\xff")
    with pytest.raises(LabelError, match=r"a\.txt: unreadable"):
        read_labels(tmp_path / "a.txt")
    with pytest.raises(LabelError, match=r"b\.txt: unreadable .*No such file"):
        read_labels(tmp_path / "b.txt")


def test_format() -> None:
    corners = np.array([[359, -0.0], [369.5, 497], [123.4 - 100, 509], [0, 677]])[None]
    text = format_labels(Labels(corners, ["small-vehicle"], [2]))
    assert text == "359.0 0.0 369.5 497.0 23.4 509.0 0.0 677.0 small-vehicle 2\n"


@pytest.mark.parametrize("images", ["images", "images/images"])
@pytest.mark.parametrize(
    "labels",
    [
        "labelTxt",
        "labelTxt/labelTxt",
        "labelTxt-v1.0",
        "labelTxt-v1.0/labelTxt",
        "labelTxt-v1.5",
        "labelTxt-v1.5/DOTA-v1.5_train",
        "labelTxt-v2.0",
        "labelTxt-v2.0/DOTA-v2.0_train",
    ],
)
def test_pictures(tmp_path: Path, images: str, labels: str) -> None:
    write(tmp_path / images / "b.png")
    write(tmp_path / images / "a.PNG")
    write(tmp_path / labels / "a.txt")
    write(tmp_path / labels / "b.txt")
    pictures, problems = find_pictures(tmp_path)
    assert [picture.name for picture in pictures] == ["a", "b"]
    assert pictures[0].image == tmp_path / images / "a.PNG"
    assert pictures[1].labels == tmp_path / labels / "b.txt"
    assert problems == []


def test_versions_of_labels(tmp_path: Path) -> None:
    """Upright boxes are passed over; of several versions `labelTxt` is the one, or none."""
    write(tmp_path / "images/a.png")
    oriented = write(tmp_path / "labelTxt-v1.5/DOTA-v1.5_train/a.txt")
    write(tmp_path / "labelTxt-v1.5/DOTA-v1.5_train_hbb/a.txt")
    assert find_pictures(tmp_path)[0][0].labels == oriented
    older = write(tmp_path / "labelTxt-v1.0/labelTxt/a.txt")
    write(tmp_path / "labelTxt-v1.0/trainset_reclabelTxt/a.txt")
    with pytest.raises(LayoutError, match=r"v1.0/labelTxt and labelTxt-v1.5/DOTA.*rename the one"):
        find_pictures(tmp_path)
    older.parent.rename(tmp_path / "labelTxt")
    assert find_pictures(tmp_path)[0][0].labels == tmp_path / "labelTxt/a.txt"


def test_pictures_and_labels_that_have_no_partner(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.png"):
        write(tmp_path / "images" / name)
    for name in ("a", "c"):
        write(tmp_path / "labelTxt" / f"{name}.txt")
    pictures, problems = find_pictures(tmp_path)
    assert [picture.image.name for picture in pictures] == ["a.jpg"]
    assert [line.split(": ", 1)[0].rsplit("/", 1)[1] for line in problems] == [
        "a.png",
        "b.png",
        "c.txt",
    ]
    assert "a.jpg has the same name" in problems[0]
    assert "no label file, expected" in problems[1]
    assert "no picture, expected" in problems[2]


def test_test_set_needs_no_labels(tmp_path: Path) -> None:
    write(tmp_path / "test/images/a.png")
    pictures, problems = find_pictures(tmp_path / "test")
    assert [picture.labels for picture in pictures] == [None]
    assert problems == []
    write(tmp_path / "train/images/a.png")
    with pytest.raises(LayoutError, match="train/labelTxt: no label files"):
        find_pictures(tmp_path / "train")


def test_packed_pictures(tmp_path: Path) -> None:
    write(tmp_path / "images/part1.zip")
    with pytest.raises(LayoutError, match=r"no pictures.*; unpack part1\.zip and the others"):
        find_pictures(tmp_path)
