"""DDP over NCCL with one process: FILE is where the processes meet."""

import copy
import sys

import torch
from torch import Tensor, distributed, nn

from fdam_mm.layers import FreqScale


def model() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), FreqScale(16, groups=4), nn.ReLU()
    )
    return layers.cuda().train()


def gradients(layers: nn.Module, image: Tensor) -> list[Tensor]:
    layers(image).square().mean().backward()
    return [p.grad for p in layers.parameters()]


def main() -> None:
    address = f"file://{sys.argv[1]}"
    distributed.init_process_group("nccl", init_method=address, rank=0, world_size=1)
    plain = model()
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(plain))
    wrapped = nn.parallel.DistributedDataParallel(synchronised, device_ids=[0])
    image = torch.randn(4, 3, 16, 16, device="cuda")
    for found, expected in zip(gradients(wrapped, image), gradients(plain, image), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
