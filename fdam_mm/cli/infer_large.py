"""Detect rotated boxes in one large picture, window by window, and draw them."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config

from fdam_mm.apis import OrientedResult, load_model, predict
from fdam_mm.apis.inputs import find_pictures
from fdam_mm.apis.loading import Precision, usable_device
from fdam_mm.apis.picture import Picture
from fdam_mm.apis.tiles.grid import TileGrid
from fdam_mm.data.pictures.rows import pad_patch, read_pixels
from fdam_mm.data.prepare.dota_split import PADDING
from fdam_mm.errors import MissingFileError, UsageError
from fdam_mm.files import new_folder, require_writable, write_atomically
from fdam_mm.oriented.pipelines import window_side
from fdam_mm.training.config import read_config

from .arguments import add_config_arguments, parser
from .errors import clear_errors


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    arguments = parser(
        __doc__,
        "COMMAND P0006.png "
        "configs/lsknet/fdam-oriented-rcnn-le90_lsknet-s_fpn_1x_dota.py epoch_12.pth",
    )
    arguments.add_argument("image", type=Path, help="the picture: any format, size and bit depth")
    add_config_arguments(arguments)
    arguments.add_argument("checkpoint", help="checkpoint file; foreign layouts are converted")
    arguments.add_argument(
        "--out", type=Path, help="folder to make; default work_dirs/infer_large/IMAGE"
    )
    arguments.add_argument("--size", type=int, help="side of a window; default the config's size")
    arguments.add_argument(
        "--overlap", type=int, help="pixels that neighbours share; default a fifth of the side"
    )
    arguments.add_argument(
        "--score-thr", type=float, default=0.3, help="leave out boxes below it (%(default)s)"
    )
    arguments.add_argument(
        "--batch-size", type=int, default=1, help="windows together (%(default)s)"
    )
    arguments.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="where the model runs (%(default)s)",
    )
    arguments.add_argument(
        "--amp", action="store_true", help="mixed precision: fp16, or bf16 on a CPU"
    )
    arguments.add_argument(
        "--allow-pickle", action="store_true", help="also read checkpoints that need unpickling"
    )
    return arguments.parse_args(argv)


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    out = args.out or Path("work_dirs/infer_large") / args.image.stem
    if out.exists():
        raise UsageError(f"{out} exists and is left as it is; pass --out ANOTHER_FOLDER")
    require_writable(out)
    if args.batch_size < 1:
        raise UsageError(f"--batch-size is {args.batch_size}, expected at least 1")
    if not 0 <= args.score_thr <= 1:
        raise UsageError(f"--score-thr is {args.score_thr}, expected a number from 0 to 1")
    device = usable_device(args.device)
    config = read_config(args.config, args.cfg_options)
    side = choose_side(config, args.size)
    overlap = side // 5 if args.overlap is None else args.overlap
    picture = find_picture(args.image)
    windows = TileGrid.over(picture.size, side, overlap)
    low: Precision = "fp16" if device.type == "cuda" else "bf16"
    model = load_model(
        config, args.checkpoint, device, precision=low if args.amp else None,
        allow_pickle=args.allow_pickle,
    )  # fmt: skip
    (result,) = predict(model, source(args.image, picture, side), args.batch_size, side, overlap)
    if not isinstance(result, OrientedResult):
        raise UsageError(f"the model of {args.config} finds no boxes of five numbers")
    found = replace(result, picture=picture).above(args.score_thr)
    write(out, found)
    print(f"{len(windows)} windows, {len(found)} boxes of score {args.score_thr} or more: {out}")


def choose_side(config: Config, size: int | None) -> int:
    """Of the windows, in pixels: what the user says, else what the model was trained on."""
    if size is not None and size < 1:
        raise UsageError(f"--size is {size}, expected at least 1")
    if not config.get("test_dataloader"):
        raise UsageError(
            f"{config.filename} has no test_dataloader, whose pipeline reads the windows"
        )
    if config.default_scope != "mmrotate":
        raise UsageError(f"default_scope is {config.default_scope!r}, expected 'mmrotate'")
    side = size or window_side(config.test_dataloader.dataset.pipeline)
    if side is None:
        raise UsageError("the config's test pipeline resizes to no square; pass --size")
    return side


def find_picture(file: Path) -> Picture:
    if not file.is_file():
        what = "is a folder, expected a file" if file.is_dir() else "does not exist"
        raise MissingFileError(f"picture {file} {what}")
    (picture,) = find_pictures(file)
    return picture


def source(file: Path, picture: Picture, side: int) -> Path | np.ndarray:
    """What the model sees: a picture below a window is filled up to one, as DOTA's patches are.

    Its pipeline would enlarge it.
    """
    if max(picture.size) >= side:
        return file
    return pad_patch(read_pixels(file), side, PADDING)


def write(out: Path, found: OrientedResult) -> None:
    """Write boxes.txt (corners, class, score; best first) and boxes.jpg into a new folder."""
    with new_folder(out) as folder:
        (folder / "boxes.txt").write_text(found.to_dota(), encoding="utf-8")
    drawn = found.draw(score=0)[..., ::-1]
    write_atomically(out / "boxes.jpg", cv2.imencode(".jpg", drawn)[1].tobytes())
