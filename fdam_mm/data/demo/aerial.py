"""Scenes seen from above with oriented objects, drawn from a random generator.

Objects stand at any angle, alone or in tight rows, on striped ground with unlabelled roofs. Fine
details decide some classes: a court is a roof with lines, a truck is a ship without a bow.
The class names are DOTA's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from fdam_mm.data.demo.scenes import (
    blend,
    cast_shadow,
    cover,
    draw_waves,
    photograph,
    smooth_noise,
)

MIN_SIDE = 96  # pixels
_GAP = 3.0  # pixels between groups, and to the picture's edge
_TRIES = 40  # places tried for a group before it is left out

Part = tuple[np.ndarray, np.ndarray, float | None]  # points (N, 2), colour (3,), line width
Bounds = tuple[float, float]


@dataclass(frozen=True, eq=False)
class OrientedObject:
    """One object.

    Attributes:
        class_id: index into `CLASSES`.
        corners: (4, 2) x and y in pixels, in the order front left, front right, back right, back
            left.
    """

    class_id: int
    corners: np.ndarray


@dataclass(frozen=True, eq=False)
class AerialScene:
    """A picture, (H, W, 3) uint8 in RGB, and the objects in it, which don't overlap."""

    image: np.ndarray
    objects: list[OrientedObject]


@dataclass(frozen=True)
class _Kind:
    """How the objects of a class look.

    Attributes:
        length: pixels, least and most.
        width: share of the length, least and most.
        rows, columns: most objects in front of and beside each other.
        draw: gives the parts in the object's frame: x from back -1 to front 1, y from left -1 to
            right 1.
        crosswise: period in pixels of stripes across the object, or None.
        upright: the sides are those of the picture, as round objects are labelled in DOTA.
    """

    length: Bounds
    width: Bounds
    rows: int
    columns: int
    draw: Callable[[np.random.Generator], list[Part]]
    crosswise: float | None = None
    upright: bool = False


def draw_aerial(rng: np.random.Generator, size: tuple[int, int]) -> AerialScene:
    """Draw one scene.

    Args:
        rng: source of all randomness; the same state gives the same scene.
        size: height and width in pixels, each at least `MIN_SIDE`.

    Raises:
        ValueError: the size is too small.
    """
    if min(size) < MIN_SIDE:
        raise ValueError(f"size is {size}, expected height and width of at least {MIN_SIDE}")
    canvas = _draw_ground(rng, size)
    taken = np.zeros(size, bool)
    objects: list[OrientedObject] = []
    for class_id in _draw_classes(rng, size):
        kind = _KINDS[class_id] if class_id >= 0 else _ROOF
        for corners in _place_group(rng, kind, taken):
            canvas = _paint(rng, canvas, kind, corners)
            if class_id >= 0:
                objects.append(OrientedObject(class_id, corners))
    return AerialScene(photograph(rng, canvas), objects)


def _draw_classes(rng: np.random.Generator, size: tuple[int, int]) -> list[int]:
    """Return the class of each group to place, -1 for a roof; more in a larger picture."""
    area = size[0] * size[1] / 192**2
    groups = round(area * rng.uniform(5, 10))
    roofs = round(area * rng.uniform(1, 3))
    classes = [*rng.integers(len(CLASSES), size=groups).tolist(), *[-1] * roofs]
    return rng.permutation(classes).tolist()


def _draw_ground(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 3) float32: two soft colours, faint stripes and a road."""
    share = 1 / (1 + np.exp(-4 * smooth_noise(rng, size, cells=3)))
    first, second = rng.uniform(60, 170, size=(2, 3))
    stripes = draw_waves(rng, size, rng.uniform(3, 10), rng.uniform(0, np.pi))
    ground = blend(first + np.zeros((*size, 3)), second, share)
    ground = ground + 0.25 * (stripes - stripes.mean(axis=(0, 1)))
    ends = rng.uniform(0, 1, size=(2, 2)) * size[::-1]
    ends = ends[0] + np.array([[-3], [3]]) * (ends[1] - ends[0])
    road = cover(size, np.clip(ends, -2000, 4000), width=rng.uniform(5, 12))
    return blend(ground, np.full(3, rng.uniform(70, 130)), road).astype(np.float32)


def _place_group(rng: np.random.Generator, kind: _Kind, taken: np.ndarray) -> list[np.ndarray]:
    """Find a free place for a block of equal objects and mark it as taken.

    Returns:
        The corners, (4, 2), of each object; empty where no place was found.
    """
    height, width = taken.shape
    for _ in range(_TRIES):
        length = rng.uniform(*kind.length)
        breadth = length * rng.uniform(*kind.width)
        rows, columns = rng.integers(1, kind.rows + 1), rng.integers(1, kind.columns + 1)
        pitch = np.array([length * 1.12 + 1, breadth * 1.2 + 1])
        block = pitch * (rows, columns)
        turn = 0.0 if kind.upright else rng.uniform(0, 2 * np.pi)
        centre = rng.uniform(0, 1, size=2) * (width, height)
        outline = _box(np.zeros(2), block + 2 * _GAP, turn, centre)
        if outline.min() < 0 or (outline.max(axis=0) > (width - 1, height - 1)).any():
            continue
        place = cv2.fillConvexPoly(np.zeros(taken.shape, np.uint8), np.int32(outline), 1) > 0
        if (place & taken).any():
            continue
        taken |= place
        slots = np.stack(np.meshgrid(np.arange(rows), np.arange(columns)), axis=-1).reshape(-1, 2)
        slots = slots[rng.random(len(slots)) < 0.9]  # a few stay empty
        offsets = (slots + 0.5) * pitch - block / 2
        side = np.array([length, breadth])
        return [_box(offset, side, turn, centre) for offset in offsets]
    return []


def _box(offset: np.ndarray, side: np.ndarray, turn: float, centre: np.ndarray) -> np.ndarray:
    """Return the corners, (4, 2), of a box in a frame turned about the centre."""
    signs = np.array([[1, -1], [1, 1], [-1, 1], [-1, -1]])
    return (offset + signs * side / 2) @ _rotation(turn) + centre


def _rotation(turn: float) -> np.ndarray:
    return np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def _paint(
    rng: np.random.Generator, canvas: np.ndarray, kind: _Kind, corners: np.ndarray
) -> np.ndarray:
    """Draw one object; only the window around it is touched."""
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 4, 0)
    high = np.ceil(corners.max(axis=0)).astype(int) + 5
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    patch = canvas[window]
    size = patch.shape[:2]
    middle = corners.mean(axis=0) - low
    forwards = (corners[0] - corners[3]) / 2
    rightwards = (corners[1] - corners[0]) / 2
    for index, (points, colour, width) in enumerate(kind.draw(rng)):
        shape = cover(size, points @ np.stack([forwards, rightwards]) + middle, width)
        fill: np.ndarray = colour
        if index == 0:
            patch = cast_shadow(patch, shape)
            if kind.crosswise:
                angle = np.arctan2(forwards[1], forwards[0])
                waves = draw_waves(rng, size, kind.crosswise, angle)
                fill = colour + 0.6 * (waves - waves.mean(axis=(0, 1)))
        patch = blend(patch, fill, shape)
    canvas = canvas.copy()
    canvas[window] = patch
    return canvas


def _colour(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Return a greyish colour, (3,), between dark and light."""
    return rng.uniform(low, high) + rng.uniform(-20, 20, size=3)


def _strong_colour(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(20, 235, size=3)


def _rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])


def _disc(radius: float) -> np.ndarray:
    around = np.linspace(0, 2 * np.pi, 33)
    return radius * np.stack([np.cos(around), np.sin(around)], axis=1)


def _plane(rng: np.random.Generator) -> list[Part]:
    colour = _colour(rng, 190, 245)
    body = [[-1, -0.07], [0.8, -0.1], [1, 0], [0.8, 0.1], [-1, 0.07]]
    wings = [[0.3, 0], [-0.25, -1], [-0.45, -1], [-0.1, 0], [-0.45, 1], [-0.25, 1]]
    tail = [[-0.7, 0], [-0.95, -0.35], [-1, -0.35], [-0.9, 0], [-1, 0.35], [-0.95, 0.35]]
    return [(np.array(part), colour, None) for part in (body, wings, tail)]


def _ship(rng: np.random.Generator) -> list[Part]:
    hull = np.array([[-1, -0.8], [0.5, -1], [1, 0], [0.5, 1], [-1, 0.8]])
    return [(hull, _colour(rng, 90, 220), None)]


def _truck(rng: np.random.Generator) -> list[Part]:
    cab = _rectangle(0.65, -0.9, 1, 0.9)
    return [
        (_rectangle(-1, -1, 0.6, 1), _colour(rng, 90, 220), None),
        (cab, _strong_colour(rng), None),
    ]


def _storage_tank(rng: np.random.Generator) -> list[Part]:
    light = rng.random() < 0.5
    roof, ring = _colour(rng, 170, 240), _colour(rng, 40, 110)
    return [
        (_disc(1), roof if light else ring, None),
        (_disc(0.65), ring if light else roof, 1.3),
        (_disc(0.2), ring if light else roof, None),
    ]


def _vehicle(rng: np.random.Generator) -> list[Part]:
    return [
        (_rectangle(-1, -1, 1, 1), _strong_colour(rng), None),
        (_rectangle(0.1, -0.75, 0.45, 0.75), _colour(rng, 15, 50), None),
    ]


def _court(rng: np.random.Generator) -> list[Part]:
    line = _colour(rng, 215, 240)
    return [
        (_rectangle(-1, -1, 1, 1), _roof_colour(rng), None),
        (_rectangle(-0.78, -0.7, 0.78, 0.7), line, 1.2),
        (np.array([[0, -0.7], [0, 0.7]]), line, 1.2),
        (np.array([[-0.4, 0], [0.4, 0]]), line, 1.2),
    ]


def _roof(rng: np.random.Generator) -> list[Part]:
    return [(_rectangle(-1, -1, 1, 1), _roof_colour(rng), None)]


def _roof_colour(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(30, 150, size=3)


_KINDS_BY_NAME = {
    "plane": _Kind((26, 40), (0.85, 1.0), 1, 2, _plane),
    "small-vehicle": _Kind((11, 14), (0.48, 0.56), 2, 7, _vehicle),
    "large-vehicle": _Kind((26, 40), (0.3, 0.36), 1, 4, _truck, crosswise=4.0),
    "ship": _Kind((28, 46), (0.3, 0.36), 1, 3, _ship, crosswise=4.0),
    "tennis-court": _Kind((30, 44), (0.5, 0.56), 1, 2, _court),
    "storage-tank": _Kind((12, 26), (1.0, 1.0), 2, 3, _storage_tank, upright=True),
}
CLASSES: tuple[str, ...] = tuple(_KINDS_BY_NAME)
PALETTE: list[list[int]] = [  # DOTA's
    [165, 42, 42],
    [138, 43, 226],
    [255, 128, 0],
    [255, 0, 255],
    [0, 255, 255],
    [0, 51, 153],
]
_KINDS: tuple[_Kind, ...] = tuple(_KINDS_BY_NAME.values())
_ROOF = _Kind((30, 55), (0.5, 0.8), 1, 1, _roof)
