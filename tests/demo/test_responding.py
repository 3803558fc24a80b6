"""What the page shows after its button, without a browser."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdam_mm.apis.picture import PixelPicture
from fdam_mm.apis.results import InstanceResult, OrientedResult, PanopticResult, Result
from fdam_mm.apis.results.panoptic import Segment
from fdam_mm.demo.drawing import drawn, found_in, on_page
from fdam_mm.demo.models import Served
from fdam_mm.demo.page import PICTURE, respond
from fdam_mm.demo.trying import try_models
from fdam_mm.oriented.boxes import OrientedBoxes


def shown(models: dict[str, Served], upload: Path | None, *values: Any) -> list[Any]:
    return list(respond(models, upload, *values))


def test_a_picture_beside_a_model(models: dict[str, Served], upload: Path) -> None:
    ((message, images, found, spectra),) = shown(
        models, upload, "tiny", PICTURE, 0.3, "none", False
    )
    assert (message, spectra) == ("", "")
    (left, right), label = images
    assert label == "picture  |  tiny" and left.shape == right.shape == (448, 672, 3)
    assert (left != right).any() and "%" in found


def test_two_models_with_their_spectra(models: dict[str, Served], upload: Path) -> None:
    first, last = shown(models, upload, "tiny", "fdam-tiny", 0.3, "none", True)
    assert first[1][1] == "tiny  |  fdam-tiny" and "Measuring" in first[3]
    assert last[3].count("<svg") == 2 and "fdam-tiny" in last[3]


def test_tiles(models: dict[str, Served], pixels: np.ndarray, upload: Path) -> None:
    large = np.tile(pixels, (3, 3, 1))
    tried = try_models(models["tiny"], None, large, 128, 0.3)
    assert tried.right.image.shape == on_page(large).shape
    assert models["tiny"].predict(large, 128).size == (192, 288)


def test_a_picture_that_is_reduced(models: dict[str, Served], monkeypatch: Any) -> None:
    monkeypatch.setattr("fdam_mm.demo.trying.MAX_SIDE", 48)
    tried = try_models(models["tiny"], None, np.zeros((64, 96, 3), np.uint8), None, 0.3)
    assert "reduced from 96 × 64 to 48 × 32" in tried.note
    assert tried.left.image.shape == tried.right.image.shape


def test_errors_are_one_message(models: dict[str, Served], tmp_path: Path) -> None:
    (message, images, found, spectra), *rest = shown(
        models, None, "tiny", PICTURE, 0.3, "none", True
    )
    assert not rest and "there is no picture yet" in message and images is None
    (tmp_path / "<b>.png").write_text("no picture")
    ((message, *_),) = shown(models, tmp_path / "<b>.png", "tiny", PICTURE, 0.3, "none", True)
    assert "&lt;b&gt;.png is no picture" in message and str(tmp_path) not in message


def test_faults_are_shown_too(
    models: dict[str, Served], upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("of torch")

    monkeypatch.setattr(models["tiny"], "_predict", fails)
    ((message, *_),) = shown(models, upload, "tiny", PICTURE, 0.3, "none", True)
    assert "RuntimeError: of torch" in message


def test_a_model_serves_one_at_a_time(upload: Path, pixels: np.ndarray) -> None:
    inside, most = 0, 0

    class Slow(Served):
        def _predict(self, pixels: np.ndarray, tile: int | None) -> Any:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            threading.Event().wait(0.01)
            inside -= 1

        def _measure(self, pixels: np.ndarray) -> Any: ...

    model = Slow("slow")
    threads = [threading.Thread(target=model.predict, args=(pixels, None)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


CLASSES = dict(classes=("a", "b"), palette=((255, 0, 0), (0, 0, 255)), sample=None)


def results() -> list[tuple[Result, list[str]]]:
    picture: Any = PixelPicture("picture", None, np.zeros((40, 60, 3), np.uint8))
    boxes = np.array([[5, 5, 30, 15], [20, 20, 40, 30], [1, 1, 9, 9]], np.float32)
    scores, labels = np.array([0.9, 0.5, 0.1], np.float32), np.array([1, 1, 0])
    rotated = OrientedBoxes(np.array([[20, 20, 20, 9, 0.5]], np.float32), scores[:1], labels[:1])
    ids = np.zeros((40, 60), np.int32)
    ids[:, :15], ids[:, 15:45] = 1, 2
    segments = (Segment(1, 0, False), Segment(2, 1, True))
    return [
        (InstanceResult(picture, **CLASSES, boxes=boxes, scores=scores, labels=labels), ["b × 2"]),
        (OrientedResult(picture, **CLASSES, objects=rotated), ["b × 1"]),
        (PanopticResult(picture, **CLASSES, ids=ids, segments=segments), ["b 50.0%", "a 25.0%"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("result", "words"), results(), ids=lambda value: type(value).__name__)
def test_kinds_of_results(result: Any, words: list[str]) -> None:
    image = drawn(result, result.picture.array, 0.3)
    assert image.shape == (440, 660, 3) and image.any()
    assert [f"{found.name} {found.amount}" for found in found_in(result, 0.3)] == words
