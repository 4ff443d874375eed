"""What goes wrong with models and their inputs, as error classes that say what to do."""

from __future__ import annotations


class ModelError(ValueError):
    """Base of every error that this package raises on purpose."""


class InputError(ModelError):
    """Arrays handed to a model have the wrong groups, shapes or values."""


class CheckpointError(ModelError):
    """A checkpoint cannot be read, or is damaged."""


class VersionError(CheckpointError):
    """A checkpoint was trained on other descriptor versions than the ones at hand."""


class SeenRowsError(ModelError):
    """A checkpoint was asked to be judged on rows that it was trained on."""


class AcceleratorError(ModelError):
    """A device was asked for that does not exist."""


class UnfinishedError(ModelError):
    """A training that was cut off cannot be gone on with as asked."""
