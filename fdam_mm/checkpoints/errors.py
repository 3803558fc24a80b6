"""What can be wrong with a checkpoint file."""


class CheckpointError(ValueError):
    """A checkpoint file that cannot be used; the message names the file and what to do."""


class UnsafeCheckpointError(CheckpointError):
    """A file whose loading would run code of its own (unpickling)."""


class CheckpointMismatchError(CheckpointError):
    """A checkpoint whose keys or shapes do not fit the model."""
