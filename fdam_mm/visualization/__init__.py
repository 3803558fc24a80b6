"""Visualizers, registered in mmengine's root registry."""

from importlib.util import find_spec

__all__: list[str] = []

if find_spec("mmdet"):
    from .panels import PanelVisualizer

    __all__ += ["PanelVisualizer"]
