"""Why training can't start or go on. Each message says what to do; train.py prints it and exits with status 1.

TrainingError
├── OptionError        an option's value makes no sense
├── DataError          the data set or the start of the weights is missing, damaged or too small
├── CheckpointError    a checkpoint is missing, damaged or of another run
├── FitError           the loss is no longer a number, or the memory is too small
├── OutputError        a result can't be written
└── ExportError        the exported file does not answer like the network
"""


class TrainingError(Exception):
    """Training can't start or go on."""


class OptionError(TrainingError):
    """An option's value makes no sense."""


class DataError(TrainingError):
    """The data set or the start of the weights is missing, damaged or too small."""


class CheckpointError(TrainingError):
    """A checkpoint is missing, damaged or of another run."""


class FitError(TrainingError):
    """The loss is no longer a number, or the device's memory is too small."""


class OutputError(TrainingError):
    """A result can't be written."""


class ExportError(TrainingError):
    """The exported file does not answer like the network."""
