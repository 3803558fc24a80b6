"""A folder of pictures to predict, whatever the config's own data set looks like."""

from collections import Counter
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from fdam_mm.errors import LayoutError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


@DATASETS.register_module()
class UnlabelledPictures(BaseDataset):
    """The pictures of a folder, with the classes of another data set, for its test pipeline.

    Args:
        folder: Its pictures of the usual formats are read, not those of folders inside.
        of: Config of the data set that has the classes; its files are not looked at.
        pipeline: Without steps that load labels.
    """

    def __init__(self, folder: str, of: dict[str, Any], pipeline: list[dict[str, Any]]) -> None:
        self._folder = Path(folder)
        self._of = DATASETS.build({**of, "lazy_init": True, "pipeline": []})
        super().__init__(metainfo=self._of.metainfo, pipeline=pipeline, test_mode=True)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry for each picture, named by its file less the suffix."""
        files = find_files(self._folder)
        shared = dict(
            label_map=None,
            reduce_zero_label=bool(getattr(self._of, "reduce_zero_label", False)),
        )
        return [
            dict(img_path=str(f), img_id=f.stem, file_name=f.name, seg_fields=[], **shared)
            for f in files
        ]


def find_files(folder: Path) -> list[Path]:
    """The pictures of a folder, by name.

    Raises:
        LayoutError: It is no folder, there are none, or two whose results would have one name.
    """
    if not folder.is_dir():
        raise LayoutError(f"{folder} is no folder, expected one with pictures")
    files = sorted(f for f in folder.glob("*") if f.is_file() and f.suffix.lower() in SUFFIXES)
    if not files:
        raise LayoutError(f"{folder} has no pictures, expected {', '.join(SUFFIXES)} files in it")
    twins = [name for name, count in Counter(f.stem for f in files).items() if count > 1]
    if twins:
        raise LayoutError(
            f"{folder} has several pictures {twins[0]}, expected names that differ without their "
            "suffixes, for the results are called after them"
        )
    return files
