"""The errors that we recognise: what the tools show as one line.

Each says what was found, in which file or under which key, what was expected and what to do. All
else is a fault of code, ours or a user's, and keeps its traceback.
"""

import signal


class FDAMError(Exception):
    """Something is wrong with what we were given; the message is all that a user needs."""

    exit_code = 1  # of a tool that ends with it


class UsageError(FDAMError, ValueError):
    """A tool or function was called with something that it cannot do."""


class MissingPackageError(FDAMError, ImportError):
    """An optional package is not installed; the message says what needs it and how to get it."""


class ConfigError(FDAMError, ValueError):
    """A config, or a setting in it, that cannot be used; the message names the file or the key."""


class MissingFileError(FDAMError, FileNotFoundError):
    """A file or folder that a user named does not exist."""


class WriteError(FDAMError, OSError):
    """A file cannot be written, as on a full disk; names it and the space that is free."""


class InUseError(FDAMError):
    """Another process writes to this folder; names both."""


class DataError(FDAMError, ValueError):
    """Pictures or labels that cannot be used."""


class PictureError(DataError):
    """A picture cannot be read; the message names the file and says why."""


class LayoutError(DataError):
    """A folder is not laid out as its format says; the message says what was expected."""


class LabelError(DataError):
    """A label file, or an entry of it, is wrong; the message names both."""


class PreparationError(DataError):
    """A data set cannot be prepared; the message says why and what to do."""


class ResultsError(DataError):
    """A file of results, or a name in it, cannot be used."""


class CheckpointError(FDAMError, ValueError):
    """A checkpoint file that cannot be used; the message names the file and what to do."""


class UnsafeCheckpointError(CheckpointError):
    """A file whose loading would run code of its own (unpickling)."""


class CheckpointMismatchError(CheckpointError):
    """A checkpoint whose keys or shapes do not fit the model."""


class OperationError(FDAMError, RuntimeError):
    """mmcv was not compiled with an operation that a model needs; names it and what to do."""


class DivergedError(FDAMError, ArithmeticError):
    """A training's losses or weights are no longer finite numbers; the message says where."""


class TrainingInterrupted(FDAMError):
    """A signal ended a training; the message says what is saved and how to go on.

    Args:
        number: Of the signal.
        state: Where the training stands.
    """

    def __init__(self, number: int, state: str) -> None:
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name} {state}; go on with the same command and --resume")
        self.exit_code = 128 + number


class UnservedError(FDAMError, ValueError):
    """A model, or a part of it, that FDAM cannot be put into; the model is unchanged."""


class ForwardError(FDAMError, RuntimeError):
    """A model's forward that FDAM's layers cannot follow; the message says what they missed."""


class ExportError(FDAMError, ValueError):
    """A model that cannot be exported, or an export that is not the model; says where."""


class HubError(FDAMError, OSError):
    """A hub of models cannot be reached, or refuses; the message says which and what to do."""
