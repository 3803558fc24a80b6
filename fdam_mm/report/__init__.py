"""A training's page: curves, metrics by class, confusions, pictures, cost and versions."""

from .evaluating import Evaluation, evaluate
from .page import write_page

__all__ = ["Evaluation", "evaluate", "write_page"]
