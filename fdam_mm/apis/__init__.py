"""Load a model, predict with it, train one: what every tool and notebook calls.

from fdam_mm.apis import load_model, predict, train

model = load_model("work_dirs/nuts")
for result in predict(model, "photos/", tile=1024):
    result.save("result/")
"""

from .deltas import merge_delta
from .loading import load_model
from .predicting import predict
from .results import InstanceResult, OrientedResult, PanopticResult, Result, SegmentationResult
from .training import Run, train

__all__ = [
    "InstanceResult",
    "OrientedResult",
    "PanopticResult",
    "Result",
    "Run",
    "SegmentationResult",
    "load_model",
    "merge_delta",
    "predict",
    "train",
]
