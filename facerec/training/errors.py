"""What users can get wrong, or their machine. Each message says what to do; `train.py` prints it and exits with 1."""


class LearningError(Exception):
    """Base of the errors below."""


class OptionError(LearningError):
    """An option's value makes no sense."""


class DataError(LearningError):
    """The data set is missing, damaged or too small."""


class CheckpointError(LearningError):
    """A checkpoint is missing, damaged or of another run."""


class TrainingError(LearningError):
    """Training can't go on."""


class ExportError(LearningError):
    """The exported file doesn't do what the network does."""
