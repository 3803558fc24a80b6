"""What is wrong with a picture or its labels is said with the name of its file."""

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from fdam_mm.data.guards.samples import look_at_samples
from fdam_mm.data.guards.watching import plain_worker_errors, watch
from fdam_mm.errors import DataError, FDAMError, LabelError, LayoutError
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.runner import FDAMRunner

SIZE = (20, 30)  # height, width
CLASSES = ("a", "b", "c")
SEG_PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]


def save(file: Path, array: np.ndarray, **settings: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file, **settings)


@pytest.fixture(scope="module", autouse=True)
def toolkits() -> None:
    for name in ("mmrotate", "mmseg"):
        register_toolkit(name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three pairs of a picture and a label map."""
    rng = np.random.default_rng(0)
    for name in "pqr":
        save(tmp_path / f"img/{name}.jpg", rng.integers(0, 256, (*SIZE, 3), np.uint8))
        save(tmp_path / f"ann/{name}.png", rng.integers(0, 3, SIZE, np.uint8))
    return tmp_path


def seg_config(root: Path, **settings: Any) -> dict[str, Any]:
    config = dict(
        type="BaseSegDataset",
        data_root=str(root),
        data_prefix=dict(img_path="img", seg_map_path="ann"),
        metainfo=dict(classes=CLASSES),
        pipeline=SEG_PIPELINE,
    )
    return config | settings


def loader_config(dataset: dict[str, Any], workers: int = 0) -> dict[str, Any]:
    sampler = dict(type="DefaultSampler", shuffle=False)
    return dict(batch_size=1, num_workers=workers, sampler=sampler, dataset=dataset)


def run(dataset: dict[str, Any], workers: int = 0, ignored: frozenset[int] = frozenset()) -> int:
    """Go through a data set as a training does, without the look at its start."""
    init_default_scope("mmseg")
    with plain_worker_errors():
        loader = FDAMRunner.build_dataloader(loader_config(dataset, workers), seed=0)
        watch(loader.dataset, ignored)
        return sum(1 for _ in loader)


def message(dataset: dict[str, Any], workers: int = 0, kind: type = FDAMError) -> str:
    with pytest.raises(kind) as raised:
        run(dataset, workers)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


LABELS = np.ones(SIZE, np.uint8)
BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty picture": ("img/q.jpg", lambda f: f.write_bytes(b""), "unreadable"),
    "no picture": ("img/q.jpg", lambda f: f.write_bytes(b"no picture at all"), "unreadable"),
    "no label map": ("ann/q.png", Path.unlink, "No such file"),
    "empty": ("ann/q.png", lambda f: f.write_bytes(b""), "unreadable"),
    "cut off": ("ann/q.png", truncate, "unreadable"),
    "colours": ("ann/q.png", lambda f: save(f, np.ones((*SIZE, 3), np.uint8)), "3 channels"),
    "alpha": (
        "ann/q.png", lambda f: Image.fromarray(LABELS).convert("LA").save(f), "2 channels",
    ),
    "16 bits": ("ann/q.png", lambda f: save(f, np.full(SIZE, 258, np.uint16)), "up to 258"),
    "out of range": ("ann/q.png", lambda f: save(f, 3 * LABELS), "label values 3 in 600 pixels"),
    "other size": ("ann/q.png", lambda f: save(f, LABELS.T.copy()), "30 high and 20 wide"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named(root: Path, case: str) -> None:
    name, spoil, found = BAD[case]
    spoil(root / name)
    said = message(seg_config(root))
    assert str(root / name) in said and found in said and "tools/check_data.py" in said


def test_from_a_worker_process_too(root: Path) -> None:
    save(root / "ann/q.png", 9 * LABELS)
    said = message(seg_config(root), workers=1, kind=LabelError)
    assert str(root / "ann/q.png") in said and "label values 9" in said


def test_the_first_error_is_the_cause(root: Path) -> None:
    (root / "img/q.jpg").write_bytes(b"")
    with pytest.raises(DataError) as raised:
        run(seg_config(root))
    assert raised.value.__cause__ is not None and raised.value.__cause__.__traceback__


def test_good_data(root: Path) -> None:
    save(root / "ann/q.png", np.full(SIZE, 2, np.uint16))  # 16 bits, but nothing is lost
    save(root / "ann/r.png", np.full(SIZE, 255, np.uint8))
    assert run(seg_config(root)) == 3
    save(root / "ann/q.png", np.full(SIZE, 3, np.uint8))
    assert run(seg_config(root), ignored=frozenset([3])) == 3  # as a head's ignore_index
    assert run(seg_config(root, reduce_zero_label=True)) == 3
    pickle.dumps(seg_dataset(root))  # for workers that are spawned


def test_pictures_that_are_resized_before_their_labels_are_read(root: Path) -> None:
    """As the toolkit's test pipelines do it, so that predictions are judged on all pixels."""
    load, annotations, *rest = SEG_PIPELINE
    resize = dict(type="Resize", scale=(15, 10), keep_ratio=True)
    assert run(seg_config(root, pipeline=[load, resize, annotations, *rest])) == 3
    save(root / "ann/q.png", LABELS.T.copy())
    said = message(seg_config(root, pipeline=[load, resize, annotations, *rest]))
    assert "30 high and 20 wide, expected 20 high and 30 wide" in said


def seg_dataset(root: Path, **settings: Any) -> Any:
    init_default_scope("mmseg")
    dataset = DATASETS.build(seg_config(root, **settings))
    watch(dataset, frozenset())
    return dataset


def test_classes_that_count_from_one(root: Path) -> None:
    save(root / "ann/q.png", 3 * LABELS)
    assert "set reduce_zero_label=True" in message(seg_config(root))


class OwnError(Exception):
    """A user's."""


@DATASETS.register_module()
class OwnDataset(BaseDataset):
    """Fails in code of its own, on files that are fine."""

    def load_data_list(self) -> list[dict]:
        return [dict(img_path=self.data_root)]

    def prepare_data(self, index: int) -> None:
        raise OwnError("mine")


def test_errors_of_a_users_code_stay(root: Path) -> None:
    picture = root / "img/p.jpg"
    with pytest.raises(OwnError, match="mine") as raised:
        run(dict(type=OwnDataset, data_root=str(picture)))
    if hasattr(raised.value, "__notes__"):  # Python 3.11
        assert str(picture) in raised.value.__notes__[0]


@pytest.mark.parametrize("wrapper", ["RepeatDataset", "ConcatDataset"])
def test_inside_wrappers(root: Path, wrapper: str) -> None:
    save(root / "ann/q.png", 9 * LABELS)
    inner = seg_config(root)
    repeated = dict(type=wrapper, times=2, dataset=inner)
    joined = dict(type=wrapper, datasets=[inner, inner])
    assert "label values 9" in message(repeated if wrapper == "RepeatDataset" else joined)


def test_an_empty_set_names_folder_and_suffix(root: Path) -> None:
    said = message(seg_config(root, img_suffix=".tif"), kind=LayoutError)
    assert f"{root / 'img'}: no *.tif (it has .jpg)" in said and "img_suffix" in said


def test_the_start_looks_at_samples_and_changes_nothing(root: Path) -> None:
    dataset = seg_dataset(root)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    look_at_samples(dataset, "train")
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.get_rng_state().tolist() == states[2]
    save(root / "ann/p.png", 9 * LABELS)
    with pytest.raises(LabelError, match="label values 9"):
        look_at_samples(seg_dataset(root), "train")


def test_two_classes_as_0_and_255(root: Path) -> None:
    for name in "pqr":
        save(root / f"ann/{name}.png", 255 * (np.arange(600).reshape(SIZE) % 2).astype(np.uint8))
    two = dict(metainfo=dict(classes=("ground", "road")))
    with pytest.raises(LabelError, match="only \\[0, 255\\].*'road' would never.*by 255"):
        look_at_samples(seg_dataset(root, **two), "train")
    with pytest.raises(LabelError, match="reduce_zero_label=True; expected 1..2"):
        look_at_samples(seg_dataset(root, reduce_zero_label=True, **two), "train")
    save(root / "ann/q.png", LABELS)
    look_at_samples(seg_dataset(root, **two), "train")


GOOD_LINE = "2 2 12 2 12 9 2 9 plane 0\n"


def dota_config(root: Path, line: str) -> dict[str, Any]:
    for name, text in (("p", GOOD_LINE), ("q", GOOD_LINE + line)):
        (root / "ann" / f"{name}.txt").write_text(text)
        save(root / f"img/{name}.png", np.zeros((*SIZE, 3), np.uint8))
    steps = [
        dict(type="mmdet.LoadImageFromFile"),
        dict(type="mmdet.LoadAnnotations", with_bbox=True, box_type="qbox"),
        dict(type="mmrotate.ConvertBoxType", box_type_mapping=dict(gt_bboxes="rbox")),
        dict(type="mmdet.PackDetInputs"),
    ]
    return dict(
        type="mmrotate.DOTADataset", data_root=str(root), ann_file="ann",
        data_prefix=dict(img_path="img"), pipeline=steps,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("1e308 2 12 2 12 9 2 9 plane 0", "absurd coordinates 1e\\+308"),
        ("2 2 -5e7 2 12 9 2 9 plane 0", "absurd coordinates"),
        ("2 2 12 2 12 9 2 nan plane 0", "absurd coordinates.*nan"),
        ("5 5 5 5 5 5 5 5 plane 0", "corners on one line"),
        ("1 1 5 5 9 9 13 13 plane 0", "corners on one line"),
        ("2 2 12 2 12 9 2 9 plan 0", "category 'plan'"),
        ("2 2 12 2 plane 0", "6 items"),
        ("2 2 12 2 12 9 2 9 plane", "no difficulty"),
    ],
)
def test_dota_lines(root: Path, line: str, found: str) -> None:
    with pytest.raises(LabelError, match=rf"q\.txt:2: {found}"):
        run(dota_config(root, line))
    assert run(dota_config(root, "2 2 12 2 2 9 12 9 plane 0")) == 2  # corners crossed: a box


def test_a_missing_dota_picture(root: Path) -> None:
    config = dota_config(root, GOOD_LINE)
    (root / "img/q.png").unlink()
    assert str(root / "img/q.png") in message(config)


def test_jpegs_that_cv2_fills_with_grey(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its version 4.10 does with one that is cut off."""
    decode = cv2.imdecode

    def lenient(data: np.ndarray, flags: int) -> np.ndarray:
        pixels = decode(data, flags)
        return np.full((*SIZE, 3), 128, np.uint8) if pixels is None else pixels

    monkeypatch.setattr(cv2, "imdecode", lenient)
    assert run(seg_config(root)) == 3
    file = root / "img/q.jpg"
    file.write_bytes(file.read_bytes()[:-200])
    assert f"{file}: unreadable" in message(seg_config(root))


@pytest.mark.parametrize(
    "content", ["{", "[1]", '{"images": 5}', '{"images": [{"id": 1}], "annotations": []}', "\xff"]
)
def test_a_broken_json_is_named(root: Path, content: str) -> None:
    file = root / "annotations.json"
    file.write_bytes(content.encode("latin-1"))
    config = dict(
        type="mmdet.CocoDataset",
        data_root=str(root),
        ann_file=file.name,
        data_prefix=dict(img="img"),
        metainfo=dict(classes=CLASSES),
        pipeline=[],
    )
    assert message(config, kind=LabelError).startswith(f"{file}: unreadable (")
