"""Time Oriented R-CNN with LSKNet, with FDAM over its plain twin: a training step and a picture.

Both run interleaved on the same generated aerial scenes; figures are medians of the process's CPU
time (of CUDA events on a GPU) and their ratio to the plain twin. Weights are random: the number of
boxes that the heads work on differs from that of a trained model, and is the same for both twins.

example:
  python benchmarks/lsknet.py --size 512 --rounds 7 --threads 1
"""

import argparse
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from layers import measure, report
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from mmrotate.structures.bbox import QuadriBoxes
from torch import Tensor, nn

from fdam_mm.apis.building import build_model
from fdam_mm.data.demo.aerial import draw_aerial
from fdam_mm.training.config import read_config

CONFIG = "configs/lsknet/fdam-oriented-rcnn-le90_lsknet-t_fpn_1x_dota.py"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default=CONFIG, help="of the twin with FDAM (%(default)s)")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    MMLogger.get_instance("benchmark", log_level="WARNING")  # no list of every parameter
    fdam = read_config(args.config, {})
    plain = read_config(args.config, {"model.backbone.fdam": None})
    models = {"plain": build(plain, args.device), "fdam": build(fdam, args.device)}
    images, samples = draw(args.batch, args.size, args.device)
    print(f"{Path(args.config).stem}, batch {args.batch}, {args.size} x {args.size}, float32")
    for name, make in (("inference", prediction), ("training step", training_step)):
        steps = {key: make(model, images, samples) for key, model in models.items()}
        report(name, measure(steps, args.rounds, args.device))


def build(config: Config, device: str) -> nn.Module:
    config.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = build_model(config)
    model.init_weights()
    return model.to(device)


def draw(batch: int, size: int, device: str) -> tuple[Tensor, list[DetDataSample]]:
    """Images, (batch, 3, size, size), and their oriented boxes."""
    scenes = [draw_aerial(np.random.default_rng(seed), (size, size)) for seed in range(batch)]
    pixels = torch.stack([torch.from_numpy(scene.image) for scene in scenes])
    samples = []
    for scene in scenes:
        corners = torch.from_numpy(np.stack([item.corners for item in scene.objects]))
        boxes = QuadriBoxes(corners.reshape(-1, 8).float()).convert_to("rbox").to(device)
        labels = torch.tensor([item.class_id for item in scene.objects], device=device)
        shape = dict(img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size))
        sample = DetDataSample(
            metainfo=dict(shape, batch_input_shape=(size, size), scale_factor=(1, 1))
        )
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
        samples.append(sample)
    return (pixels.permute(0, 3, 1, 2).float() / 58 - 2).to(device), samples


def prediction(model: nn.Module, images: Tensor, samples: list) -> Callable[[], None]:
    def step() -> None:
        model.eval()
        with torch.no_grad():
            model.predict(images, deepcopy(samples))  # it changes them

    return step


def training_step(model: nn.Module, images: Tensor, samples: list) -> Callable[[], None]:
    """Forward, backward and AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05)

    def step() -> None:
        model.train()
        torch.manual_seed(0)  # the same samples of boxes for both
        total, _ = model.parse_losses(model.loss(images, deepcopy(samples)))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
