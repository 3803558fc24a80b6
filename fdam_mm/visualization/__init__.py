"""Drawing results of mmdet's and mmrotate's models."""

from .panels import PanelVisualizer
from .rotated_visualizer import RotatedBoxVisualizer

__all__ = ["PanelVisualizer", "RotatedBoxVisualizer"]
