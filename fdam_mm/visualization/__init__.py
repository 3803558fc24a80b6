"""Drawing results; the visualizers of mmdet's and mmrotate's models need mmdet."""

from fdam_mm.toolkits.optional import importable

if importable("mmdet.visualization"):
    from .panels import PanelVisualizer
    from .rotated_visualizer import RotatedBoxVisualizer

    __all__ = ["PanelVisualizer", "RotatedBoxVisualizer"]
