"""The results of runs: reading them, their scores, and how sure a difference is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from setups import SETUPS

RESULTS = Path(__file__).parent / "results"
STEP_TIMES = "step_times.json"  # in a folder of results
_DRAWS = 2000
Result = Mapping[str, Any]
BySeed = dict[int, Result]
Times = Mapping[str, float]  # of a step over plain, by variant


def read_results(folder: Path, setup: str) -> dict[str, BySeed]:
    """Of a setup: variant -> seed -> result, in the order of :mod:`setups`."""
    found: dict[str, BySeed] = {variant: {} for variant in SETUPS[setup].variants}
    for file in sorted((folder / setup).glob("*.json")):
        result = json.loads(file.read_text())
        found[result["variant"]][result["seed"]] = result
    return {variant: by_seed for variant, by_seed in found.items() if by_seed}


def read_times(folder: Path, setup: str) -> Times:
    """Median ratio of each variant's step to the plain one's; empty where none were measured."""
    file = folder / STEP_TIMES
    cases = json.loads(file.read_text())["cases"] if file.exists() else ()
    (variants,) = [case["variants"] for case in cases if case["setup"] == setup] or [{}]
    return {variant: found["ratio"]["median"] for variant, found in variants.items()}


def score(run: Result) -> float:
    """mIoU on the test pictures, or mAP of rotated boxes at the last validation; %."""
    if "test" in run:
        return 100 * float(np.mean(iou(run, "area")))
    return 100 * float(run["validations"][-1]["dota/mAP"])


def iou(run: Result, kind: str) -> np.ndarray:
    """(K,): IoU of each class over all test pictures; ``kind`` is ``area`` or ``boundary``."""
    both, either = np.sum(run["test"][kind], axis=0)
    return both / np.maximum(either, 1)


def iou_of_classes(run: Result, names: Sequence[str]) -> float:
    """Mean over the named classes."""
    return float(np.mean([iou(run, "area")[run["classes"].index(name)] for name in names]))


def bootstrap(base: Sequence[Result], variant: Sequence[Result]) -> tuple[float, float, float]:
    """Gain in points of mIoU over other runs of the same seeds: mean and 95 % interval."""
    counts = np.array([[run["test"]["area"] for run in runs] for runs in (base, variant)])
    _, seeds, blocks = counts.shape[:3]  # (2, S, B, 2, K)
    draw = np.random.default_rng(0)

    def gain(of_seeds: np.ndarray, of_blocks: np.ndarray) -> float:
        drawn = counts[:, of_seeds][:, :, of_blocks].sum(2)  # (2, S, 2, K)
        score = (drawn[:, :, 0] / np.maximum(drawn[:, :, 1], 1)).mean((1, 2))
        return float(100 * (score[1] - score[0]))

    gains = [
        gain(draw.integers(0, seeds, seeds), draw.integers(0, blocks, blocks))
        for _ in range(_DRAWS)
    ]
    low, high = np.percentile(gains, [2.5, 97.5])
    return gain(np.arange(seeds), np.arange(blocks)), float(low), float(high)
