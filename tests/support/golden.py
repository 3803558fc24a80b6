"""Golden cases: weights and inputs drawn from their names, and the official outputs."""

import json
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parents[1] / "golden"


class Case(NamedTuple):
    build: dict[str, Any]
    state: dict[str, Tensor]  # official keys
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    spec: dict[str, Any]  # all of the json


def load_case(name: str) -> Case:
    spec = json.loads((FOLDER / f"{name}.json").read_text())
    state = {}
    for key, shape, *same_as in spec["keys"]:  # a third entry names the tensor this one is tied to
        source = same_as[0] if same_as else key
        state[key] = _weight(source, _normal(source, shape), spec["rules"])
    inputs = {key: _input(key, shape, axis) for key, shape, axis in spec["inputs"]}
    outputs = {}
    for path in FOLDER.glob(f"{name}.*npz"):  # NAME.npz, and NAME.PART.npz where it is in parts
        with np.load(path) as file:
            outputs.update({key: torch.from_numpy(file[key]) for key in file.files})
    return Case(spec.get("build", {}), state, inputs, outputs, spec)


def thinned(output: Tensor, stored: str) -> Tensor:
    """The part of an output that a case stores: ``"all"``, or slices such as ``[:, ::2]``."""
    if stored == "all":
        return output
    parts = (part.strip().split(":") for part in stored.strip("[]").split(","))
    return output[tuple(slice(*(int(n) if n else None for n in part)) for part in parts)]


def relative_error(ours: Tensor, official: Tensor) -> float:
    return float((ours - official).detach().norm() / official.detach().norm())


def _normal(name: str, shape: list[int]) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return rng.standard_normal(tuple(shape)).astype(np.float32)


def _input(name: str, shape: list[int], channel_axis: int) -> Tensor:
    """Drawn values whose channels also have drawn means."""
    means = [1] * len(shape)
    means[channel_axis] = shape[channel_axis]
    offset = _normal(f"offset:{name}", [shape[channel_axis]]).reshape(means)
    return torch.from_numpy(_normal(f"input:{name}", shape) + offset)


def _weight(name: str, value: np.ndarray, rules: list[list]) -> Tensor:
    """Scale a draw by the first rule [pattern, mean, std] whose pattern is in ``name``."""
    mean, std = next((mean, std) for pattern, mean, std in rules if re.search(pattern, name))
    if isinstance(std, str):  # "fan_in" or "fan_in*GAIN"
        gain = float(std.partition("*")[2] or 1)
        std = gain * float(np.sqrt(1 / max(1, np.prod(value.shape[1:]))))
    return torch.from_numpy(np.asarray(mean + std * value, dtype=np.float32))
