"""The texts of a start's files: configs that a person reads and edits, a module for each kind."""

from .pieces import Start, classes_text, twin_text
from .registry import config_text

__all__ = ["Start", "classes_text", "config_text", "twin_text"]
