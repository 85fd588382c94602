"""Why a model gives no answer.

InferenceError
├── ModelFileError    the model file is missing, altered, or of another version
├── InvalidOutput     the model's output holds NaN or infinity
├── WorkerLost        the worker process has ended, or gave no answer in time
└── WorkerFault       an unexpected exception in the worker process
"""


class InferenceError(Exception):
    """A model can't be loaded, or gives no usable answer."""


class ModelFileError(InferenceError):
    """The model file is missing, altered, or not what this version of the project can use. The message says which."""


class InvalidOutput(InferenceError):
    """The model's output holds NaN or infinity."""


class WorkerLost(InferenceError):
    """The worker process has ended, or gave no answer in time, and the picture isn't known to be the reason.

    Usually the system has killed the process because the machine is out of memory.
    """


class WorkerFault(InferenceError):
    """An unexpected exception in the worker process. The message is what `facerec.errors.raised_at` says of it."""
