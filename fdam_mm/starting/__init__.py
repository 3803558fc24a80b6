"""``fdam new``: a folder to start a training of own data from, for the user to edit and own."""

from .routes import TASKS
from .writing import write_start

__all__ = ["TASKS", "write_start"]
