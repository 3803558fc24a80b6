"""The demo set in ADE20K's layout: a label map for each picture, for mmseg."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from fdam_mm.data.demo.layout import DemoLayout, write_photo, write_picture
from fdam_mm.data.demo.scenes import CLASSES, Scene

_SHORT_NAMES = {"training": "train", "validation": "val"}


class ADE20KLayout(DemoLayout):
    """`images/{training,validation}/DEMO_{train,val}_00000001.jpg` and the label maps.

    Those are `annotations/.../NAME.png`, uint8: 0 is unlabelled, the others are class index + 1.
    """

    classes = CLASSES

    def files(self, split: str, count: int) -> list[PurePosixPath]:
        return [file for number in range(1, count + 1) for file in _pair(split, number)]

    def write_split(self, root: Path, split: str, scenes: Iterable[Scene]) -> None:
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        for number, scene in enumerate(scenes, start=1):
            image, annotation = _pair(split, number)
            write_photo(root / image, scene.image)
            write_picture(root / annotation, scene.semantic())


def _pair(split: str, number: int) -> tuple[PurePosixPath, PurePosixPath]:
    """Image and annotation."""
    name = f"DEMO_{_SHORT_NAMES[split]}_{number:08d}"
    return (
        PurePosixPath("images", split, f"{name}.jpg"),
        PurePosixPath("annotations", split, f"{name}.png"),
    )
