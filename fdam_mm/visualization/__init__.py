"""Pictures of results, and visualizers, registered in mmengine's root registry."""

from importlib.util import find_spec

__all__: list[str] = []

if find_spec("mmdet"):
    from .panels import PanelVisualizer
    from .rotated_visualizer import RotatedBoxVisualizer

    __all__ += ["PanelVisualizer", "RotatedBoxVisualizer"]
