"""Predict with an exported model: onnxruntime, numpy and OpenCV, without torch.

from fdam_mm.runtime import load

model = load("nuts.json")
model("photos/1.jpg").save("result/")
"""

from .description import Description, Graph
from .loading import load
from .model import Model
from .segmentor import Segmentor

__all__ = ["Description", "Graph", "Model", "Segmentor", "load"]
