"""Drawing results of mmdet's models; import it in a config's `custom_imports`."""

from .panels import PanelVisualizer

__all__ = ["PanelVisualizer"]
