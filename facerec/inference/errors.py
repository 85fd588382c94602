"""Why a model gives no answer.

InferenceError
├── ModelFileError    the model file is missing, altered, or of another version
└── InvalidOutput     the model's output holds NaN or infinity
"""


class InferenceError(Exception):
    """A model can't be loaded, or gives no usable answer."""


class ModelFileError(InferenceError):
    """The model file is missing, altered, or not what this version of the project can use. The message says which."""


class InvalidOutput(InferenceError):
    """The model's output holds NaN or infinity."""
