"""What a first config's numbers follow from; docs/own_data.md says why.

Every rule is a function of the data and the machine alone, so that it can be read and tested.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_STEP = 32  # pixels, of crops: the coarsest map of all models
_MOST_ON_CPU = 256  # pixels
_FROM_SCRATCH = 10.0  # times the rate that fits pretrained weights


@dataclass(frozen=True)
class Machine:
    """What trains: the memory of the GPU in GiB, None for a CPU."""

    gpu_memory: float | None

    @classmethod
    def here(cls) -> "Machine":
        """The first GPU that torch can use, else the CPU."""
        import torch

        if not torch.cuda.is_available():
            return cls(None)
        return cls(torch.cuda.get_device_properties(0).total_memory / 2**30)


def crop_side(sides: Sequence[int], largest: int, machine: Machine) -> int:
    """Side of the square that a training sees: the median of the pictures' shorter sides.

    In steps of 32 pixels, at least 64, at most ``largest``, that of the model's recipe, and on a
    CPU at most 256.
    """
    most = largest if machine.gpu_memory else min(largest, _MOST_ON_CPU)
    median = float(np.median(sides))
    return int(max(64, min(most, median // _STEP * _STEP)))


def tile_side(
    longer: Sequence[int], objects: Sequence[float], largest: int, machine: Machine
) -> int:
    """Side of the square tiles that large pictures are cut into.

    The median of the pictures' longer sides, at most ``largest`` and on a CPU 256, but twice the
    95th percentile of the objects' longer sides where ``largest`` allows it.

    Args:
        longer: Longer side of each picture in pixels.
        objects: Longer side of each object in pixels.
        largest: Side of the model's recipe.
        machine: That will train.
    """
    most = largest if machine.gpu_memory else min(largest, _MOST_ON_CPU)
    wanted = max(min(most, float(np.median(longer))), 2 * _reach(objects), 64)
    return int(min(largest, -(-wanted // _STEP) * _STEP))


def tile_overlap(side: int, objects: Mapping[str, Sequence[float]]) -> int:
    """Pixels that tiles share, from a fifth to a half of their side.

    The 95th percentile of the objects' longer sides, so that most are whole in one tile; that of
    the class with the longest ones, of the classes for which half a side is enough.

    Args:
        side: Of a tile in pixels.
        objects: Longer side of each object in pixels, by class.
    """
    every = _reach([length for of in objects.values() for length in of])
    reaches = [min(every, side // 2), *(_reach(of) for of in objects.values())]
    return math.ceil(max(side // 5, *(r for r in reaches if r <= side // 2)))


def _reach(objects: Sequence[float]) -> float:
    return float(np.percentile(objects, 95)) if len(objects) else 0.0


def anchor_scales(sides: Sequence[float]) -> tuple[float, ...]:
    """Sides of the anchors of five levels, in strides of 4 to 64 pixels.

    The finest level has anchors of the objects' 10th percentile, from 2 to 8 strides, of which the
    recipe has 8. Where the coarsest does not reach the 95th, some are four times as large.

    Args:
        sides: Root of the area of each object in pixels.
    """
    if not len(sides):
        return (8.0,)
    small, large = np.percentile(sides, [10, 95])
    scale = float(np.clip(round(small / 4), 2, 8))
    return (scale, 4 * scale) if large > 64 * scale else (scale,)


def batch_size(num_pictures: int, side: int, gib: float, machine: Machine) -> int:
    """Pictures of a step: a power of two up to 16, no more than there are, and that fit.

    Args:
        num_pictures: To train.
        side: Of the crop in pixels.
        gib: What a picture of 512 x 512 is reckoned to need while the model trains.
        machine: A CPU takes 4 pictures of 256 x 256, whose time is the limit.
    """
    pixels = side * side
    if machine.gpu_memory:
        fitting = 0.8 * machine.gpu_memory / (gib * pixels / 512**2)
    else:
        fitting = 4 * 256**2 / pixels if gib < 2 else 1
    most = max(1.0, min(16.0, fitting, num_pictures))
    return 2 ** int(math.log2(most))


def learning_rate(rate: float, recipe_batch: int, batch: int, pretrained: bool) -> float:
    """The recipe's rate by the root of the batches' ratio, as fits Adam (arXiv 2205.10287).

    Ten times as much where the backbone starts from drawn weights.
    """
    scaled = rate * math.sqrt(batch / recipe_batch) * (1.0 if pretrained else _FROM_SCRATCH)
    return float(f"{scaled:.2g}")


def iterations(num_pictures: int, batch: int, machine: Machine) -> int:
    """Each picture a hundred times, in hundreds: 1,000 to 40,000, on a CPU at most 2,000."""
    most = 40000 if machine.gpu_memory else 2000
    wanted = -(-100 * num_pictures // batch // 100) * 100
    return max(1000, min(most, wanted))


def class_weights(pixels: Sequence[int]) -> list[float] | None:
    """Weights of the loss, where one class has less than a fiftieth of the most frequent one.

    The root of the median frequency over the class's, from 0.5 to 4, so that rare classes count
    for more and do not rule. A class without a pixel has 1.
    """
    counts = np.array(pixels, float)
    there = counts[counts > 0]
    if len(there) < 2 or there.min() * 50 >= there.max():
        return None
    weights = np.sqrt(np.median(there) / np.maximum(counts, 1)).clip(0.5, 4)
    return [round(float(w), 2) if n else 1.0 for w, n in zip(weights, counts, strict=True)]


def split_names(
    names: Sequence[str], classes: Mapping[str, frozenset[int]], share: float = 0.2
) -> tuple[list[str], list[str]]:
    """Names to train and to validate: a fifth to validate, the same ones every time.

    Pictures are drawn by a hash of their names, so that a picture more moves no other one. The
    last picture that has a class stays with the training.

    Args:
        names: Of all pictures.
        classes: Labels in each.
    """
    drawn = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    wanted = max(1, round(share * len(names))) if len(names) > 1 else 0
    left: dict[int, int] = {}
    for name in names:
        for label in classes.get(name, frozenset()):
            left[label] = left.get(label, 0) + 1
    held: list[str] = []
    for name in drawn:
        labels = classes.get(name, frozenset())
        if len(held) < wanted and all(left[label] > 1 for label in labels):
            held.append(name)
            for label in labels:
                left[label] -= 1
    return sorted(set(names) - set(held)), sorted(held)
