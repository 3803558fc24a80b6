#!/usr/bin/env python
"""Peak memory of predicting a large GeoTIFF tile by tile.

Makes a raster of noise and stripes in map coordinates, predicts it with the small demo segmentor
(untrained: the numbers mean nothing) and saves the labels as a GeoTIFF. Writes one JSON.

example:
  python benchmarks/large_raster.py --side 12000 --out benchmarks/large_raster.json
"""

import argparse
import json
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from rasterio.windows import Window
from tqdm import tqdm

from fdam_mm.apis import load_model, predict
from fdam_mm.files import require_writable, write_atomically

_BAND = 512  # rows that are made at once


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=12000, help="pixels (%(default)s)")
    parser.add_argument("--tile", type=int, default=1024, help="pixels (%(default)s)")
    parser.add_argument("--config", default="configs/demo/fdam-segformer_demo.py")
    parser.add_argument("--out", type=Path, help="JSON to write")
    args = parser.parse_args()
    if args.out:
        require_writable(args.out)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        source = make_raster(Path(folder) / "large.tif", args.side)
        model = load_model(args.config, device="cpu")
        before, start = peak_mib(), time.perf_counter()
        (result,) = predict(model, source, tile=args.tile)
        seconds = time.perf_counter() - start
        saved = result.save(folder)
        same_place(source, saved)
    report = dict(
        command=f"benchmarks/large_raster.py --side {args.side} --tile {args.tile}",
        machine=platform.processor() or platform.machine(),
        torch=torch.__version__,
        pixels=args.side**2,
        raster_mib=round(3 * args.side**2 / 2**20),
        peak_mib_before=round(before),
        peak_mib_after=round(peak_mib()),
        seconds=round(seconds),
    )
    text = json.dumps(report, indent=2)
    print(text)
    if args.out:
        write_atomically(args.out, text + "\n")


def make_raster(file: Path, side: int) -> Path:
    """A tiled GeoTIFF in UTM 33N, a quarter of a metre a pixel."""
    rng = np.random.default_rng(0)
    profile = dict(
        driver="GTiff", height=side, width=side, count=3, dtype="uint8", crs="EPSG:32633",
        transform=from_origin(5e5, 5.2e6, 0.25, 0.25), tiled=True, compress="deflate",
    )  # fmt: skip
    with rasterio.open(file, "w", **profile) as raster:
        for top in tqdm(range(0, side, _BAND), desc="making the raster"):
            rows = min(_BAND, side - top)
            stripes = np.sin(np.arange(side) / (5 + top / _BAND))[None, None]
            noise = rng.random((3, rows, side), np.float32)
            raster.write(
                (127 + 60 * stripes + 60 * noise).astype(np.uint8),
                window=Window(0, top, side, rows),
            )
    return file


def same_place(source: Path, saved: Path) -> None:
    with rasterio.open(source) as a, rasterio.open(saved) as b:
        assert (a.crs, a.transform, a.shape) == (b.crs, b.transform, b.shape)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
