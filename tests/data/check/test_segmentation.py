from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from support.tools import run_tool

from fdam_mm.data.check.problems import Problem
from fdam_mm.data.check.segmentation import SegmentationSet
from fdam_mm.data.check.sets import data_sets
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.data.demo.scenes import CLASSES
from fdam_mm.errors import ConfigError

SIZE = (20, 30)  # height, width


def save_image(file: Path, size: tuple[int, int] = SIZE) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def save_labels(file: Path, value: int = 1, shape: tuple[int, ...] = SIZE) -> None:
    Image.fromarray(np.full(shape, value, np.uint8)).save(file)


@pytest.fixture
def data(tmp_path: Path) -> SegmentationSet:
    """Two good pairs, `a` and `sub/b`, with 5 classes counted from 0."""
    images, annotations = tmp_path / "img", tmp_path / "ann"
    for name in ("a", "sub/b"):
        for folder, suffix, save in (
            (images, ".jpg", save_image),
            (annotations, ".png", save_labels),
        ):
            file = folder / f"{name}{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            save(file)
    return SegmentationSet(images, annotations, ".jpg", ".png", num_classes=5)


def only_problem(data: SegmentationSet) -> Problem:
    problems = data.check().problems
    assert len(problems) == 1, problems
    assert "\n" not in str(problems[0])
    return problems[0]


def change(data: SegmentationSet, **changes: object) -> SegmentationSet:
    return SegmentationSet(**{**vars(data), **changes})


def test_good_data(data: SegmentationSet) -> None:
    seen = []
    report = data.check(progress=lambda pairs: seen.extend(pairs) or pairs)
    assert report.num_pictures == len(seen) == 2 and report.problems == []


def test_image_without_annotation(data: SegmentationSet) -> None:
    (data.ann_dir / "a.png").unlink()
    problem = only_problem(data)
    assert problem.path == data.img_dir / "a.jpg" and problem.found == "image without annotation"
    assert problem.expected == str(data.ann_dir / "a.png")


def test_annotation_without_image(data: SegmentationSet) -> None:
    (data.img_dir / "sub/b.jpg").unlink()
    problem = only_problem(data)
    assert problem.path == data.ann_dir / "sub/b.png"
    assert problem.expected == str(data.img_dir / "sub/b.jpg")


@pytest.mark.parametrize("name", ["img/a.jpg", "ann/a.png"])
@pytest.mark.parametrize("keep", [0, 0.6])
def test_unreadable_file(data: SegmentationSet, name: str, keep: float) -> None:
    file = data.img_dir.parent / name
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * keep)])
    problem = only_problem(data)
    assert problem.path == file and problem.found.startswith("unreadable")


def test_size_mismatch(data: SegmentationSet) -> None:
    save_labels(data.ann_dir / "a.png", shape=(30, 20))
    problem = only_problem(data)
    assert problem.path == data.ann_dir / "a.png"
    assert problem.found == "annotation is 30 high and 20 wide"
    assert problem.expected.startswith("20 high and 30 wide")


def test_exif_rotation_counts(data: SegmentationSet) -> None:
    file = data.img_dir / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(file) as picture:
        picture.rotate(90, expand=True).save(file, exif=exif)  # turned back when it is read
    assert data.check().problems == []


def test_the_size_is_what_training_reads(data: SegmentationSet, tmp_path: Path) -> None:
    """cv2 leaves a WebP and an orientation in XMP alone, where Pillow's would turn them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = Image.fromarray(np.zeros((*SIZE, 3), np.uint8))
    pixels.save(data.img_dir / "a.webp", exif=exif)
    (data.img_dir / "a.jpg").unlink()
    (data.img_dir / "a.webp").rename(data.img_dir / "a.jpg")
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation='6'/>"
    segment = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp
    jpeg = (data.img_dir / "sub/b.jpg").read_bytes()
    (data.img_dir / "sub/b.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    assert data.check().problems == []


def test_labels_that_mmseg_would_not_turn(data: SegmentationSet) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.ones(SIZE, np.uint8)).save(data.ann_dir / "a.png", exif=exif)
    problem = only_problem(data)
    assert problem.path == data.ann_dir / "a.png"
    assert problem.found.startswith("label map with the EXIF orientation 3")


def test_many_channels(data: SegmentationSet) -> None:
    save_labels(data.ann_dir / "a.png", shape=(*SIZE, 3))
    problem = only_problem(data)
    assert problem.found == "annotation has 3 channels"


@pytest.mark.parametrize(
    ("reduce_zero_label", "value", "valid"),
    [
        (False, 0, True),
        (False, 4, True),
        (False, 5, False),
        (False, 254, False),
        (False, 255, True),
        (True, 0, True),
        (True, 5, True),
        (True, 6, False),
        (True, 255, True),
    ],
)
def test_label_range(
    data: SegmentationSet, reduce_zero_label: bool, value: int, valid: bool
) -> None:
    save_labels(data.ann_dir / "a.png", value)
    data = change(data, reduce_zero_label=reduce_zero_label)
    if valid:
        assert data.check().problems == []
    else:
        problem = only_problem(data)
        assert problem.path == data.ann_dir / "a.png"
        assert problem.found == f"label values {value} in 600 pixels"
        assert ("1..5" if reduce_zero_label else "0..4") in problem.expected


@pytest.mark.parametrize(
    ("changes", "values", "found"),
    [
        (dict(num_classes=2), (0, 255), "[0, 255]"),
        (dict(num_classes=5, reduce_zero_label=True), (0, 255), "[0, 255]"),
        (dict(num_classes=5, reduce_zero_label=True), (0, 0), "[0]"),
        (dict(num_classes=2), (0, 1), None),
        (dict(num_classes=2), (0, 0), None),
        (dict(num_classes=5), (0, 255), None),
    ],
)
def test_black_and_white_labels(
    data: SegmentationSet, changes: dict, values: tuple[int, int], found: str | None
) -> None:
    """What would be ignored in a training, though each value is allowed."""
    for name, value in zip(("a", "sub/b"), values, strict=True):
        save_labels(data.ann_dir / f"{name}.png", value)
    problems = change(data, **changes).check().problems
    assert len(problems) == (found is not None)
    if found:
        assert problems[0].path == data.ann_dir
        assert f"all label maps hold {found.strip('[]')} alone" in problems[0].found


def test_other_ignore_index(data: SegmentationSet) -> None:
    save_labels(data.ann_dir / "a.png", 100)
    assert change(data, ignore_index=100).check().problems == []


def test_labels_of_16_bits_are_not_wrapped(data: SegmentationSet) -> None:
    Image.fromarray(np.full(SIZE, 257, np.uint16)).save(data.ann_dir / "a.png")
    assert only_problem(data).found == "label values 257 in 600 pixels"


def test_all_problems_are_reported(data: SegmentationSet) -> None:
    save_labels(data.ann_dir / "a.png", 9, shape=(5, 5))
    (data.ann_dir / "sub/b.png").write_bytes(b"")
    save_labels(data.ann_dir / "c.png")
    assert len(data.check().problems) == 4


def test_missing_and_empty_folders(data: SegmentationSet, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    data = change(data, img_dir=tmp_path / "none", ann_dir=tmp_path / "empty")
    missing, empty = data.check().problems
    assert missing.path == tmp_path / "none" and missing.found == "no such folder"
    assert empty.path == tmp_path / "empty" and empty.found == "no *.png file"


def test_wrong_suffix_names_what_is_there(data: SegmentationSet) -> None:
    assert only_problem(change(data, img_suffix=".tif")).found == "no *.tif file (but a.jpg)"


def test_list_file(data: SegmentationSet, tmp_path: Path) -> None:
    save_labels(data.ann_dir / "unlisted.png", 77)
    listed = tmp_path / "list.txt"
    listed.write_text("a\nzebra\n")
    problem = only_problem(change(data, list_file=listed))
    assert problem.path == data.img_dir / "zebra.jpg" and "list.txt lists it" in problem.expected
    assert only_problem(change(data, list_file=tmp_path / "none.txt")).found == "no such file"


def test_images_alone(data: SegmentationSet) -> None:
    report = change(data, ann_dir=None).check()
    assert report.num_pictures == 2 and report.problems == []


def dataset(**options: object) -> dict:
    prefix = {"img_path": "images/training", "seg_map_path": "annotations/training"}
    return {"type": "ADE20KDataset", "data_root": "root", "data_prefix": prefix} | options


def make_config(**datasets: dict) -> Config:
    loaders = {f"{split}_dataloader": {"dataset": value} for split, value in datasets.items()}
    return Config(dict(default_scope="mmseg", **loaders))


def test_sets_of_a_config() -> None:
    sets = data_sets(make_config(train=dataset(), val=dataset(data_root="v")))
    assert list(sets.values()) == [["train"], ["val"]]
    assert next(iter(sets)) == SegmentationSet(
        Path("root/images/training"),
        Path("root/annotations/training"),
        ".jpg",
        ".png",
        num_classes=150,
        reduce_zero_label=True,
    )


def test_loveda_has_its_own_suffix_and_classes() -> None:
    (data,) = data_sets(make_config(train=dataset(type="LoveDADataset")))
    assert (data.img_suffix, data.num_classes, data.reduce_zero_label) == (".png", 7, True)


def test_equal_splits_are_merged() -> None:
    sets = data_sets(make_config(val=dataset(), test=dataset(test_mode=True)))
    assert list(sets.values()) == [["val", "test"]]


def test_wrappers_are_opened() -> None:
    pair = {"type": "ConcatDataset", "datasets": [dataset(), dataset(data_root="second")]}
    sets = data_sets(make_config(train={"type": "RepeatDataset", "times": 2, "dataset": pair}))
    assert [data.img_dir.parts[0] for data in sets] == ["root", "second"]


def test_classes_come_from_metainfo() -> None:
    own = dataset(type="BaseSegDataset", metainfo={"classes": ("x", "y")})
    subset = dataset(metainfo={"classes": ("wall", "sky")})
    own_set, subset_set = data_sets(make_config(train=own, val=subset))
    assert own_set.num_classes == 2 and not own_set.reduce_zero_label
    assert subset_set.num_classes == 150  # mmseg maps the 150 on disk to the 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (make_config(), "no train_dataloader"),
        (make_config(train=dataset(type="NoSuchDataset")), "'NoSuchDataset' is unknown"),
        (make_config(train={"type": "mmdet.XMLDataset"}), "XMLDataset cannot be checked"),
        (make_config(train=dataset(type="BaseSegDataset")), "names no classes"),
        (make_config(train=dataset(metainfo={"classes": ("qqq",)})), "not a subset"),
        (make_config(train={"data_root": "x"}), "has no type"),
        (make_config(train=dataset(img_suffix=".npy")), "suffix '.npy'"),
    ],
)
def test_config_errors(config: Config, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        data_sets(config)


def test_split_that_the_config_lacks() -> None:
    with pytest.raises(ConfigError, match="no test_dataloader"):
        data_sets(make_config(train=dataset()), ["test"])


def test_tool(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    write_demo_set(root, 2, 1, size=48)
    options = {"type": "BaseSegDataset", "data_root": str(root), "reduce_zero_label": True}
    options["metainfo"] = {"classes": CLASSES}
    config = tmp_path / "config.py"
    make_config(train=dataset(**options)).dump(config)
    done = run_tool("check_data.py", config, cwd=tmp_path, fresh=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 pictures checked, no problem"

    broken = root / "annotations/training/DEMO_train_00000002.png"
    save_labels(broken, 99, (48, 48))
    done = run_tool("check_data.py", config, "--splits", "train", cwd=tmp_path)
    assert done.returncode == 1
    assert f"{broken}: label values 99" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 pictures checked, 1 problem"

    option = f"train_dataloader.dataset.data_root={tmp_path / 'none'}"
    missing = run_tool("check_data.py", config, "--cfg-options", option, cwd=tmp_path)
    assert missing.returncode == 1 and "no such folder" in missing.stdout


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    for name in ("images/a.png", "labels/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe")
    folders = tmp_path / "images", tmp_path / "labels"
    data = SegmentationSet(*folders, ".png", ".png", 2, list_file=tmp_path / "list.txt")
    (found,) = data.check().problems
    assert "list.txt: unreadable (" in str(found)
    overlong = SegmentationSet(tmp_path / ("a" * 300), None, ".png", ".png", 2)
    assert "no such folder" in str(overlong.check().problems[0])
