"""What SpectrumHook costs: a training step with it beside one without, interleaved.

python benchmarks/spectrum_hook.py --out benchmarks/results/spectrum_hook.json
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn

import fdam_mm.models.backbones as backbones
from fdam_mm.analysis.layers import layers_of
from fdam_mm.analysis.recording import recording
from fdam_mm.benchmarking.machine import describe_machine
from fdam_mm.files import write_atomically
from fdam_mm.training.spectrum_hook import SpectrumHook, _First

FDAM = dict(att_inv=True, freq_scale=True)
SIDE, BATCH = 256, 2
MODELS = {
    "SegFormer-B0's backbone": lambda: backbones.FDAMMixVisionTransformer(fdam=FDAM),
    "DeiT-S": lambda: backbones.FDAMVisionTransformer(
        img_size=SIDE, embed_dims=384, num_layers=12, num_heads=6, fdam=FDAM
    ),
}


def seconds(model: nn.Module, images: torch.Tensor, watched: bool) -> float:
    """CPU time of a step, of which the machine's other work takes nothing."""
    start = time.process_time()
    if watched:
        with recording(model, layers_of(model), _First(), attentions=False):
            outputs = model(images)
    else:
        outputs = model(images)
    sum(output.square().mean() for output in outputs).backward()
    return time.process_time() - start


def measure(model: nn.Module, rounds: int) -> dict[str, float]:
    images = torch.randn(BATCH, 3, SIDE, SIDE)
    seconds(model, images, True)
    pairs = [(seconds(model, images, False), seconds(model, images, True)) for _ in range(rounds)]
    step = statistics.median(plain for plain, _ in pairs)
    extra = statistics.median(watched - plain for plain, watched in pairs)
    return dict(step=step, extra=extra, share=extra / step / SpectrumHook().interval)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {name: measure(make().train(), args.rounds) for name, make in MODELS.items()}
    record = dict(machine=describe_machine("cpu"), interval=SpectrumHook().interval, rows=rows)
    text = json.dumps(record, indent=1)
    write_atomically(args.out, text + "\n")
    print(text)


if __name__ == "__main__":
    main()
