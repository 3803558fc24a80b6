"""The demo set in DOTA's layout: aerial scenes with oriented boxes, for mmrotate."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from fdam_mm.data.demo.aerial import CLASSES, MIN_SIDE, AerialScene, draw_aerial
from fdam_mm.data.demo.layout import DemoLayout, write_picture

_FOLDERS = {"training": "train", "validation": "val"}


class DOTALayout(DemoLayout):
    """`{train,val}/images/DEMO_00000001.png` and `{train,val}/annfiles/DEMO_00000001.txt`.

    A line of a text file is an object: x and y of four corners in pixels, class, difficulty 0.
    """

    classes = CLASSES
    default_side = 192
    min_side = MIN_SIDE

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> AerialScene:
        return draw_aerial(rng, size)

    def files(self, split: str, count: int) -> list[PurePosixPath]:
        return [file for number in range(1, count + 1) for file in _pair(split, number)]

    def write_split(self, root: Path, split: str, scenes: Iterable[AerialScene]) -> None:
        for kind in ("images", "annfiles"):
            (root / _FOLDERS[split] / kind).mkdir(parents=True)
        for number, scene in enumerate(scenes, start=1):
            image, labels = _pair(split, number)
            write_picture(root / image, scene.image[..., ::-1])  # cv2 wants BGR
            (root / labels).write_text(_label_lines(scene), encoding="utf-8")


def _pair(split: str, number: int) -> tuple[PurePosixPath, PurePosixPath]:
    """Image and labels."""
    folder = PurePosixPath(_FOLDERS[split])
    name = f"DEMO_{number:08d}"
    return folder / "images" / f"{name}.png", folder / "annfiles" / f"{name}.txt"


def _label_lines(scene: AerialScene) -> str:
    """Return the labels in DOTA's format, one object a line."""
    lines = []
    for item in scene.objects:
        corners = " ".join(f"{value:.1f}" for value in item.corners.ravel())
        lines.append(f"{corners} {CLASSES[item.class_id]} 0\n")
    return "".join(lines)
