"""Drawing results of mmdet's and mmrotate's models; import it in a config's `custom_imports`."""

from .panels import PanelVisualizer
from .rotated_visualizer import RotatedBoxVisualizer

__all__ = ["PanelVisualizer", "RotatedBoxVisualizer"]
