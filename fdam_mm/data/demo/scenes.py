"""Labelled scenes, drawn from a random generator.

A scene has background regions, objects and wires. Regions and objects are filled with stripes, and
the stripes' spatial frequency and orientation alone decide the class: colour, contrast, phase,
light and noise are random. A model has to keep the high frequencies to solve it. Mirroring a
picture keeps every class; rotating it by a quarter turn or scaling it by 1.5 or more does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

CLASSES: tuple[str, ...] = (
    "coarse_horizontal",
    "coarse_vertical",
    "coarse_diagonal",
    "fine_horizontal",
    "fine_vertical",
    "fine_diagonal",
    "wire",
)
PALETTE: list[list[int]] = [
    [0, 73, 146],
    [0, 146, 146],
    [109, 182, 255],
    [146, 0, 0],
    [219, 109, 0],
    [255, 182, 119],
    [255, 255, 109],
]
WIRE = CLASSES.index("wire")
NUM_TEXTURES = WIRE  # the classes before it are stripes

PERIODS = {"coarse": 9.0, "fine": 4.0}  # pixels from stripe to stripe
PERIOD_JITTER = 0.1  # share of the period
ANGLES = {"horizontal": 90.0, "vertical": 0.0, "diagonal": 45.0}  # degrees, across the stripes
ANGLE_JITTER = 6.0  # degrees

MIN_SIDE = 32  # pixels
_SHIFT = 4  # cv2's fixed point: 4 fractional bits
_OVERSAMPLING = 4  # shapes are drawn this much larger and averaged down, for smooth edges


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object.

    Attributes:
        class_id: index into `CLASSES`.
        mask: (H, W) bool, the part of the object that is visible.
    """

    class_id: int
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and what is in it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        background: (H, W) uint8, index into `CLASSES` of the region behind all objects.
        objects: from back to front. Their masks don't overlap.
    """

    image: np.ndarray
    background: np.ndarray
    objects: list[SceneObject]

    def semantic(self) -> np.ndarray:
        """Return the (H, W) uint8 label map as in ADE20K: class index + 1, 0 is unlabelled."""
        labels = self.background + np.uint8(1)
        for item in self.objects:
            labels[item.mask] = item.class_id + 1
        return labels


def draw_scene(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """Draw one scene.

    Args:
        rng: source of all randomness; the same state gives the same scene.
        size: height and width in pixels, each at least `MIN_SIDE`.

    Raises:
        ValueError: the size is too small.
    """
    if min(size) < MIN_SIDE:
        raise ValueError(f"size is {size}, expected height and width of at least {MIN_SIDE}")
    canvas, background = _draw_background(rng, size)
    layers: list[tuple[int, np.ndarray]] = []
    for _ in range(rng.integers(3, 7)):
        class_id, shape = int(rng.integers(NUM_TEXTURES)), _draw_shape(rng, size)
        canvas = blend(cast_shadow(canvas, shape), draw_stripes(rng, class_id, size), shape)
        layers.append((class_id, shape > 0.5))
    for _ in range(rng.integers(1, 4)):
        wire = _draw_wire(rng, size)
        canvas = blend(canvas, _wire_colour(rng), wire)
        layers.append((WIRE, wire > 0.4))  # lower: a thin line between two rows keeps its pixels
    image = photograph(rng, canvas)
    return Scene(image, background, _visible_objects(layers))


def draw_stripes(rng: np.random.Generator, class_id: int, size: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 3) float32 stripes of a class, RGB in 0..255, in random colours."""
    scale, orientation = CLASSES[class_id].split("_")
    period = PERIODS[scale] * rng.uniform(1 - PERIOD_JITTER, 1 + PERIOD_JITTER)
    degrees = ANGLES[orientation] * rng.choice([-1, 1])
    angle = np.deg2rad(degrees + rng.uniform(-ANGLE_JITTER, ANGLE_JITTER))
    return draw_waves(rng, size, period, angle)


def draw_waves(
    rng: np.random.Generator, size: tuple[int, int], period: float, angle: float
) -> np.ndarray:
    """Return (H, W, 3) float32 stripes, RGB in 0..255, in random colours.

    Args:
        period: pixels from stripe to stripe.
        angle: radians from the x axis to the direction across the stripes.
    """
    rows, columns = np.mgrid[: size[0], : size[1]]
    across = columns * np.cos(angle) + rows * np.sin(angle)
    phase = 2 * np.pi * (across / period + rng.uniform())
    phase = phase + 0.5 * smooth_noise(rng, size, cells=4)
    sharpness = rng.uniform(0.3, 1.5)
    wave = np.tanh(sharpness * np.sin(phase)) / np.tanh(sharpness)
    middle = rng.uniform(70, 185, size=3)
    swing = rng.uniform(25, 60) + rng.uniform(-12, 12, size=3)  # mostly brightness, some hue
    return (middle + wave[..., None] * swing).astype(np.float32)


def _draw_background(
    rng: np.random.Generator, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the striped regions, (H, W, 3) float32, and their classes, (H, W) uint8."""
    classes = rng.choice(NUM_TEXTURES, size=rng.integers(2, 5), replace=False)
    rows, columns = np.mgrid[: size[0], : size[1]]
    wobble = 0.06 * min(size)
    rows = rows + wobble * smooth_noise(rng, size, cells=5)
    columns = columns + wobble * smooth_noise(rng, size, cells=5)
    seeds = rng.uniform(0, size, size=(len(classes), 2))
    distances = np.stack([np.hypot(rows - y, columns - x) for y, x in seeds])
    nearest = distances.argmin(axis=0)
    canvas = np.zeros((*size, 3), np.float32)
    for index, class_id in enumerate(classes):
        region = nearest == index
        canvas[region] = draw_stripes(rng, int(class_id), size)[region]
    return canvas, classes[nearest].astype(np.uint8)


def _draw_shape(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return the (H, W) cover, 0..1, of an ellipse, a box or a blob at any place and angle."""
    around = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    kind = rng.choice(["ellipse", "box", "blob"])
    if kind == "ellipse":
        outline = np.stack([np.cos(around), np.sin(around)], axis=1)
    elif kind == "box":
        outline = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.85
    else:
        lobes = rng.integers(3, 6)
        radius = 1 + rng.uniform(0.15, 0.35) * np.sin(lobes * around + rng.uniform(0, 2 * np.pi))
        outline = radius[:, None] * np.stack([np.cos(around), np.sin(around)], axis=1)
    outline = outline * rng.uniform(0.1, 0.24, size=2) * min(size)
    turn = rng.uniform(0, np.pi)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    centre = rng.uniform(0.08, 0.92, size=2) * size[::-1]
    return cover(size, outline @ rotation + centre)


def _draw_wire(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return the (H, W) cover, 0..1, of a bent or curved line of 1 to 3 pixels' width."""
    along = np.array([-0.02, *np.sort(rng.uniform(0.2, 0.8, size=2)), 1.02])
    aside = rng.uniform(0.05, 0.95, size=4)
    points = np.stack([along, aside], axis=1)
    if rng.random() < 0.5:  # from top to bottom instead of from left to right
        points = points[:, ::-1]
    if rng.random() < 0.7:
        points = _bezier(points)
    return cover(size, points * size[::-1], width=rng.uniform(1.0, 2.6))


def _bezier(points: np.ndarray) -> np.ndarray:
    """Return the (64, 2) points on the curve that (4, 2) points control."""
    t = np.linspace(0, 1, 64)[:, None]
    weights = np.concatenate(
        [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1
    )
    return weights @ points


def cover(size: tuple[int, int], points: np.ndarray, width: float | None = None) -> np.ndarray:
    """Return how much of each pixel a shape covers, (H, W) float32 in 0..1.

    Args:
        size: height and width.
        points: (N, 2) x and y in pixels.
        width: of a line through the points; None fills the polygon.
    """
    large = np.zeros((size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING), np.uint8)
    fixed = np.round(points * _OVERSAMPLING * 2**_SHIFT).astype(np.int32)
    if width is None:
        cv2.fillPoly(large, [fixed], 255, cv2.LINE_8, _SHIFT)
    else:
        cv2.polylines(large, [fixed], False, 255, round(width * _OVERSAMPLING), shift=_SHIFT)
    small = cv2.resize(large, size[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def _wire_colour(rng: np.random.Generator) -> np.ndarray:
    """Return a dark or a light colour, (3,)."""
    dark = rng.random() < 0.5
    return rng.uniform(0, 45, size=3) if dark else rng.uniform(210, 255, size=3)


def blend(canvas: np.ndarray, fill: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Paint a fill, (H, W, 3) or a colour (3,), where a shape's (H, W) cover is."""
    return canvas + shape[..., None] * (fill - canvas)


def cast_shadow(canvas: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Darken the canvas a little around a shape, given by its (H, W) cover."""
    shadow = cv2.GaussianBlur(shape, (0, 0), 0.015 * min(shape.shape))
    return canvas * (1 - 0.45 * shadow[..., None])


def photograph(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Add uneven light and noise; return (H, W, 3) uint8."""
    light = 1 + 0.12 * smooth_noise(rng, canvas.shape[:2], cells=2)
    noise = rng.normal(0, rng.uniform(2, 6), size=canvas.shape)
    return np.clip(np.round(canvas * light[..., None] + noise), 0, 255).astype(np.uint8)


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: int) -> np.ndarray:
    """Return (H, W) float32 noise, about -2..2, that varies over 1/cells of the picture."""
    coarse = np.clip(rng.normal(size=(cells + 1, cells + 1)), -2, 2).astype(np.float32)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def _visible_objects(layers: Sequence[tuple[int, np.ndarray]]) -> list[SceneObject]:
    """Cut from each mask what lies in front of it; leave out what is hidden altogether."""
    objects: list[SceneObject] = []
    hidden = np.zeros_like(layers[0][1])
    for class_id, mask in reversed(layers):
        visible = mask & ~hidden
        hidden |= mask
        if visible.any():
            objects.append(SceneObject(class_id, visible))
    return objects[::-1]
