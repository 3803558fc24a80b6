"""Look at what a model is given: samples after augmentation with their labels, and how many."""

from .showing import show_data

__all__ = ["show_data"]
