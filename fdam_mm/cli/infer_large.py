"""Detect rotated boxes in one large picture, window by window, and draw them."""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmrotate.registry import DATASETS
from torch import nn
from tqdm import tqdm

from fdam_mm.apis.building import build_model
from fdam_mm.apis.loading import usable_device
from fdam_mm.checkpoints import convert, load, load_state
from fdam_mm.data.pictures.rows import picture_size
from fdam_mm.data.pictures.windows import place_windows
from fdam_mm.errors import MissingFileError, PictureError, UsageError
from fdam_mm.files import new_folder, write_atomically
from fdam_mm.oriented.large_picture import detect_windows, reduced_picture
from fdam_mm.oriented.pipelines import for_arrays, window_side
from fdam_mm.oriented.results import OrientedBoxes
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.toolkits.types import class_of
from fdam_mm.training.config import read_config
from fdam_mm.visualization.colours import with_palette
from fdam_mm.visualization.rotated_boxes import draw_legend, draw_rotated_boxes

from .arguments import add_config_arguments, parser
from .errors import clear_errors

MAX_SIDE = 2048  # pixels, of the picture with the boxes


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
    if args.batch_size < 1:
        raise UsageError(f"--batch-size is {args.batch_size}, expected at least 1")
    if args.size is not None and args.size < 1:
        raise UsageError(f"--size is {args.size}, expected at least 1")
    if not 0 <= args.score_thr <= 1:
        raise UsageError(f"--score-thr is {args.score_thr}, expected a number from 0 to 1")
    device = usable_device(args.device)
    config = read_config(args.config, args.cfg_options)
    if not config.get("test_dataloader"):
        raise UsageError(f"{args.config} has no test_dataloader, whose pipeline reads the windows")
    try:
        windows = choose_windows(args.image, config, args.size, args.overlap)
        model = load_detector(config, args.checkpoint, device, args.allow_pickle)
        found = detect(model, config, args.image, windows, args.batch_size, args.amp)
        found = found.select(np.flatnonzero(found.scores >= args.score_thr))
        write(out, args.image, found, config)
    except (PictureError, ValueError) as error:
        raise UsageError(str(error)) from error
    print(f"{len(windows)} windows, {len(found)} boxes of score {args.score_thr} or more: {out}")


def choose_windows(
    image: Path, config: Config, size: int | None, overlap: int | None
) -> np.ndarray:
    """(N, 4): left, top, right, bottom."""
    size = size or window_side(config.test_dataloader.dataset.pipeline)
    if size is None:
        raise UsageError("the config's test pipeline resizes to no square; pass --size")
    overlap = size // 5 if overlap is None else overlap
    if not image.is_file():
        what = "is a folder, expected a file" if image.is_dir() else "does not exist"
        raise MissingFileError(f"picture {image} {what}")
    whole = picture_size(image)
    return place_windows(whole.width, whole.height, [size], [overlap])


def load_detector(
    config: Config, checkpoint: str, device: torch.device, allow_pickle: bool
) -> nn.Module:
    """Build the config's model and fill it from a checkpoint, which must fit."""
    if config.default_scope != "mmrotate":
        raise UsageError(f"default_scope is {config.default_scope!r}, expected 'mmrotate'")
    init_default_scope("mmrotate")
    register_toolkit("mmrotate")
    model = build_model(config)
    loaded = load(checkpoint, allow_pickle)
    state = convert(loaded, origin=checkpoint, keys=model.state_dict().keys())
    load_state(model, state, checkpoint, fit="exact")
    return model.to(device).eval()


def detect(
    model: nn.Module, config: Config, image: Path, windows: np.ndarray, batch_size: int, amp: bool
) -> OrientedBoxes:
    device = next(model.parameters()).device.type
    low = torch.float16 if device == "cuda" else torch.bfloat16
    pipeline = for_arrays(config.test_dataloader.dataset.pipeline)
    with (
        tqdm(total=len(windows), desc="detecting", unit="window") as bar,
        torch.autocast(device, low) if amp else nullcontext(),
    ):
        return detect_windows(model, pipeline, image, windows, batch_size, bar.update)


def write(out: Path, image: Path, found: OrientedBoxes, config: Config) -> None:
    """Write boxes.txt (corners, class, score; best first) and boxes.jpg into a new folder."""
    data = config.test_dataloader.dataset
    meta = with_palette({**class_of(data.type, DATASETS).METAINFO, **data.get("metainfo", {})})
    classes, palette = meta["classes"], [colour[::-1] for colour in meta["palette"]]  # BGR
    lines = [
        f"{' '.join(f'{value:.2f}' for value in corners)} {classes[label]} {score:.5f}\n"
        for corners, label, score in zip(
            found.corners().reshape(-1, 8), found.labels, found.scores, strict=True
        )
    ]
    with new_folder(out) as folder:
        (folder / "boxes.txt").write_text("".join(lines), encoding="utf-8")
    small, factor = reduced_picture(image, MAX_SIDE)
    drawn = draw_rotated_boxes(small, found.corners() / factor, found.labels, palette)
    drawn = np.concatenate([drawn, draw_legend(classes, palette, drawn.shape[1])])
    write_atomically(out / "boxes.jpg", cv2.imencode(".jpg", drawn)[1].tobytes())
