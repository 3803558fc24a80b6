import cv2
import numpy as np
import pytest

from fdam_mm.data.demo.scenes import (
    CLASSES,
    NUM_TEXTURES,
    PALETTE,
    PERIODS,
    WIRE,
    Scene,
    draw_scene,
    draw_stripes,
)

SIZE = (128, 128)


def draw_many(count: int, size: tuple[int, int] = SIZE) -> list[Scene]:
    return [draw_scene(np.random.default_rng([3, index]), size) for index in range(count)]


def main_wave(stripes: np.ndarray) -> tuple[float, float]:
    """Return the period in pixels and the angle in degrees, 0..180, of the strongest wave."""
    grey = stripes.mean(axis=2)
    window = np.outer(np.hanning(grey.shape[0]), np.hanning(grey.shape[1]))
    spectrum = np.abs(np.fft.fft2((grey - grey.mean()) * window))
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    y, x = np.fft.fftfreq(grey.shape[0])[row], np.fft.fftfreq(grey.shape[1])[column]
    return 1 / np.hypot(y, x), np.degrees(np.arctan2(y, x)) % 180


def test_one_colour_for_each_class() -> None:
    assert len(PALETTE) == len(CLASSES) == len(set(map(tuple, PALETTE)))


def test_same_seed_gives_same_scene() -> None:
    first, second = (draw_scene(np.random.default_rng(5), SIZE) for _ in range(2))
    other = draw_scene(np.random.default_rng(6), SIZE)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.semantic(), second.semantic())
    assert (first.image != other.image).any()


def test_shapes_and_types() -> None:
    scene = draw_scene(np.random.default_rng(0), (96, 160))
    labels = scene.semantic()
    assert scene.image.shape == (96, 160, 3) and scene.image.dtype == np.uint8
    assert labels.shape == (96, 160) and labels.dtype == np.uint8
    assert all(o.mask.shape == (96, 160) and o.mask.dtype == bool for o in scene.objects)


def test_masks_and_labels_agree() -> None:
    for scene in draw_many(10):
        covered = np.sum([item.mask for item in scene.objects], axis=0)
        assert covered.max() <= 1
        labels = scene.semantic()
        for item in scene.objects:
            assert item.mask.any() and (labels[item.mask] == item.class_id + 1).all()
        np.testing.assert_array_equal(labels[covered == 0], scene.background[covered == 0] + 1)


def test_every_class_appears_often() -> None:
    labels = np.stack([scene.semantic() for scene in draw_many(60)])
    shares = np.bincount(labels.ravel(), minlength=len(CLASSES) + 1) / labels.size
    assert shares[0] == 0 and len(shares) == len(CLASSES) + 1
    assert shares[1:].min() > 0.02


def test_colour_tells_nothing_about_the_class() -> None:
    means = np.zeros((NUM_TEXTURES, 3))
    for class_id in range(NUM_TEXTURES):
        rng = np.random.default_rng(class_id)
        samples = [draw_stripes(rng, class_id, (32, 32)).mean(axis=(0, 1)) for _ in range(300)]
        means[class_id] = np.mean(samples, axis=0)
    assert np.ptp(means, axis=0).max() < 15  # a single picture's spread is 115


@pytest.mark.parametrize("class_id", range(NUM_TEXTURES))
def test_stripes_have_the_frequency_and_angle_of_their_class(class_id: int) -> None:
    scale, orientation = CLASSES[class_id].split("_")
    for seed in range(10):
        period, angle = main_wave(draw_stripes(np.random.default_rng(seed), class_id, SIZE))
        assert period == pytest.approx(PERIODS[scale], rel=0.25)
        wanted = {"horizontal": (90,), "vertical": (0, 180), "diagonal": (45, 135)}[orientation]
        assert min(abs(angle - degrees) for degrees in wanted) < 15


def test_wires_are_thin() -> None:
    for scene in draw_many(10):
        for item in scene.objects:
            if item.class_id == WIRE:
                distance = cv2.distanceTransform(item.mask.astype(np.uint8), cv2.DIST_L2, 5)
                assert distance.max() < 3


def test_too_small_a_scene_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        draw_scene(np.random.default_rng(0), (16, 64))
