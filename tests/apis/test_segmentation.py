"""Training a segmentor from Python and predicting with it."""

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from PIL import Image
from support.tools import TINY, succeed
from torch import nn

from fdam_mm.apis import Run, SegmentationResult, load_model, predict, train
from fdam_mm.apis.training import _logged
from fdam_mm.errors import CheckpointError, MissingFileError, UsageError


@pytest.fixture(scope="module")
def model(run: Run) -> nn.Module:
    return load_model(run.work_dir, device="cpu")


@pytest.fixture(scope="module")
def pictures(demo_set: Path) -> list[Path]:
    return sorted((demo_set / "images/validation").glob("*.jpg"))


def labels(model: nn.Module, inputs: object, **settings: object) -> list[np.ndarray]:
    return [r.labels for r in predict(model, inputs, progress=False, **settings)]


def test_a_run_says_what_it_left(run: Run) -> None:
    losses = [entry["loss"] for entry in run.metrics if "loss" in entry]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert [entry["step"] for entry in run.metrics if "mIoU" in entry] == [3, 6]
    assert run.last_checkpoint == run.work_dir / "iter_6.pth"
    assert run.best_checkpoint is not None and run.best_checkpoint.is_file()


def test_metrics_are_of_the_whole_training(tmp_path: Path) -> None:
    kept, again, last = [(1, "loss"), (2, "loss"), (2, "mIoU")], (3, "loss"), (4, "mIoU")
    for name, lines in {"1": [*kept, again], "2": [again, last]}.items():
        file = tmp_path / name / "vis_data/scalars.json"
        file.parent.mkdir(parents=True)
        entries = [json.dumps({key: 1.0, "step": step}) for step, key in lines]
        file.write_text("\n".join([*entries, '{"loss": 0.']))  # killed in a line
    found = [(entry["step"], *entry.keys() - {"step"}) for entry in _logged(tmp_path)]
    assert found == [*kept, again, last]


def scopes() -> dict[str, str]:
    return {name: scope.scope_name for name, scope in DefaultScope._instance_dict.items()}


def test_no_scope_is_left_behind(run: Run, demo_set: Path, tmp_path: Path) -> None:
    before = scopes()
    load_model(run.work_dir, device="cpu")
    train(TINY, tmp_path / "run", **{"data_root": str(demo_set), "train_cfg.max_iters": 1})
    assert scopes() == before


def test_trainings_in_one_process_log_apart(run: Run, demo_set: Path, tmp_path: Path) -> None:
    settings = {"data_root": str(demo_set), "train_cfg.max_iters": 2}
    Visualizer._instance_dict.clear()  # SegLocalVisualizer keeps the one of the run before, too
    other = train(TINY, tmp_path / "other", **settings)
    assert [entry["step"] for entry in other.metrics if "loss" in entry] == [1, 2]
    assert len(list(run.work_dir.glob("*/vis_data/scalars.json"))) == 1


def test_a_second_training_does_not_overwrite(run: Run, demo_set: Path) -> None:
    with pytest.raises(UsageError, match="holds .* of an earlier training"):
        train(TINY, run.work_dir, data_root=str(demo_set))


def test_a_work_folder_stands_for_its_best_checkpoint(run: Run, model: nn.Module) -> None:
    chosen = load_model(run.work_dir / "tiny.py", run.best_checkpoint, device="cpu")
    for key, value in chosen.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value, rtol=0, atol=0)
    assert model.dataset_meta["classes"][0] == "coarse_horizontal"


def test_numbers_are_those_of_the_test_tool(
    run: Run, model: nn.Module, demo_set: Path, pictures: list[Path], tmp_path: Path
) -> None:
    succeed(
        "test.py", TINY, run.best_checkpoint, "--out", "labels",
        "--cfg-options", f"data_root={demo_set}", cwd=tmp_path,
    )  # fmt: skip
    for result in predict(model, pictures[0].parent, progress=False):
        file = result.save(tmp_path / "ours")
        theirs = tmp_path / "labels" / file.name
        np.testing.assert_array_equal(np.array(Image.open(file)), np.array(Image.open(theirs)))


def test_every_kind_of_input_gives_the_same(model: nn.Module, pictures: list[Path]) -> None:
    expected = labels(model, pictures)
    arrays = [cv2.imread(str(file)) for file in pictures]
    pillow = [Image.fromarray(array[..., ::-1]) for array in arrays]
    folder = pictures[0].parent
    for inputs in (folder, str(folder / "*.jpg"), arrays, pillow, [folder]):
        for ours, theirs in zip(labels(model, inputs, batch_size=3), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_results_come_lazily_and_in_order(model: nn.Module, pictures: list[Path]) -> None:
    results = predict(model, [pictures[0], pictures[0].parent / "*2.jpg"], progress=False)
    first = next(results)
    assert isinstance(first, SegmentationResult) and first.name == pictures[0].stem
    assert first.size == first.labels.shape == (64, 64)
    assert first.sample.seg_logits.data.shape == (7, 64, 64)
    assert next(results).name == pictures[1].stem
    assert next(results, None) is None


def test_pictures_of_several_sizes_in_a_batch(model: nn.Module, pictures: list[Path]) -> None:
    large = cv2.imread(str(pictures[0]))
    mixed = [large, large[:40], large[:40], large]
    alone = [labels(model, picture)[0] for picture in mixed]
    for ours, theirs in zip(labels(model, mixed, batch_size=4), alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_augmentation_is_the_same_for_mirrored_pictures(
    model: nn.Module, pictures: list[Path]
) -> None:
    """The config says nothing of views: the picture as it is and flipped."""
    picture = cv2.imread(str(pictures[0]))
    found, mirrored = labels(model, [picture, picture[:, ::-1].copy()], tta=True)
    assert (found == mirrored[:, ::-1]).mean() > 0.99


def test_tiles_of_a_model_that_sees_single_pixels(model: nn.Module, pictures: list[Path]) -> None:
    """Where logits depend on nothing around a pixel, tiles change nothing."""
    pixelwise = load_model(model.cfg, device="cpu")
    pixelwise.encode_decode = lambda x, metas: torch.cat([x, -x, x[:, :1] * 0], 1)
    whole = cv2.imread(str(pictures[0]))
    whole = np.tile(whole, (3, 4, 1))[:150, :230]
    (expected,) = labels(pixelwise, whole)
    for batch_size in (1, 3):
        (ours,) = labels(pixelwise, whole, tile=64, overlap=16, batch_size=batch_size)
        np.testing.assert_array_equal(ours, expected)
    (augmented,) = labels(pixelwise, whole, tile=64, overlap=16, tta=True)
    np.testing.assert_array_equal(augmented, expected)  # as mirroring does


def test_files_and_drawings(model: nn.Module, pictures: list[Path], tmp_path: Path) -> None:
    (result,) = predict(model, pictures[0], progress=False)
    saved = np.array(Image.open(result.save(tmp_path)))
    np.testing.assert_array_equal(saved, result.labels + 1)  # 0 has no label in these annotations
    drawn = Image.open(result.save_drawing(tmp_path))
    assert drawn.width == 64 and drawn.height > 64  # with a legend


def test_names_do_not_collide(model: nn.Module, pictures: list[Path], tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(pictures[0].read_bytes())
    names = [r.name for r in predict(model, str(tmp_path / "*/1.jpg"), progress=False)]
    assert names == ["a_1_jpg", "b_1_jpg"]


def test_supervision(model: nn.Module, pictures: list[Path]) -> None:
    pytest.importorskip("supervision")
    (result,) = predict(model, pictures[0], progress=False)
    found = result.to_supervision()
    assert sorted(found.class_id.tolist()) == np.unique(result.labels).tolist()
    np.testing.assert_array_equal(found.mask.sum(0), np.ones((64, 64)))


def test_threads_predict_at_once(model: nn.Module, pictures: list[Path]) -> None:
    expected = labels(model, pictures)
    found: dict[int, list[np.ndarray]] = {}

    def work(number: int) -> None:
        found[number] = labels(model, pictures)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        for ours, theirs in zip(found[number], expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ("/nix", MissingFileError, "no such picture"),
        (7, UsageError, "got int"),
        ([7], UsageError, "item 0"),
        (np.zeros((2, 2, 2, 2)), UsageError, "no picture"),
    ],
)
def test_inputs_that_are_none(model: nn.Module, inputs: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        predict(model, inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"tile": 0}, "tile"),
        ({"tile": 8, "overlap": 9}, "over"),
    ],
)
def test_settings_out_of_range(
    model: nn.Module, pictures: list[Path], settings: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        predict(model, pictures, **settings)


def test_models_that_cannot_be_loaded(run: Run, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no config \(\*\.py\)"):
        load_model(tmp_path)
    with pytest.raises(UsageError, match="device"):
        load_model(run.work_dir, device="gpu")
    with pytest.raises(UsageError, match="precision"):
        load_model(run.work_dir, precision="int4")
    (tmp_path / "damaged.pth").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="damaged.pth"):
        load_model(run.work_dir, tmp_path / "damaged.pth")


def test_lower_precision(run: Run, model: nn.Module, pictures: list[Path]) -> None:
    low = load_model(run.work_dir, device="cpu", precision="bf16")
    (ours,), (theirs,) = (list(predict(m, pictures[0], progress=False)) for m in (low, model))
    assert not torch.equal(ours.sample.seg_logits.data, theirs.sample.seg_logits.data)
    torch.testing.assert_close(
        ours.sample.seg_logits.data.float(), theirs.sample.seg_logits.data, rtol=0.1, atol=0.1
    )
