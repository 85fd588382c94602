"""Load an ONNX file into ONNX Runtime: verify its checksum, check its tensors and metadata, run it once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facerec.inference.errors import InvalidOutput, ModelFileError
from facerec.inference.model_file import ModelMetadata, Tensor, verify_checksum

_LOG_FATAL_ONLY = 4  # ONNX Runtime raises exceptions for what it would log at lower severities

_CUDA = "CUDAExecutionProvider"
_CUDA_OPTIONS = {
    # TF32 has 10 bits of mantissa: similarities would differ from those of a CPU, and thresholds are made for these.
    "use_tf32": "0",
    # The default tries all algorithms at each new size of input, and pictures have many sizes.
    "cudnn_conv_algo_search": "HEURISTIC",
}
"""Source: https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html"""

Metadata = TypeVar("Metadata", bound=ModelMetadata)


class OnnxModel(ABC, Generic[Metadata]):
    """A loaded ONNX file. Safe to call from several threads at once.

    Attributes:
        metadata: what the file says about itself.
        checksum: SHA-256 of the file in hexadecimal.
    """

    metadata_type: type[Metadata]
    inputs: ClassVar[Sequence[Tensor]]
    outputs: ClassVar[Sequence[Tensor]]
    fixed_input_size: ClassVar[bool]
    """Whether the inputs of all runs have the same size, so that ONNX Runtime can keep and reuse its memory."""

    def __init__(self, session: ort.InferenceSession, metadata: Metadata, checksum: str) -> None:
        self._session = session
        self.metadata = metadata
        self.checksum = checksum

    @classmethod
    def load(cls, path: Path, *, threads: int) -> Self:
        """Load the file at `path` and run it once, so that the first picture does not wait for initialization.

        Args:
            path: the file; its checksum is beside it.
            threads: number of threads that one run may use.

        Raises:
            ModelFileError: the file is missing, altered, or not a model that this version understands.
        """
        checksum = verify_checksum(path)
        options = _session_options(threads, fixed_input_size=cls.fixed_input_size)
        try:
            session = ort.InferenceSession(path, options, providers=_providers())
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise ModelFileError(f"{path} is not an ONNX model that can be loaded: {error}") from None
        try:
            _check_tensors("input", cls.inputs, session.get_inputs())
            _check_tensors("output", cls.outputs, session.get_outputs())
            metadata = cls.metadata_type.from_properties(session.get_modelmeta().custom_metadata_map)
            model = cls(session, metadata, checksum)
            model.warm_up()
        except InvalidOutput:
            raise ModelFileError(f"{path} can't be used: it gives NaN for a black picture") from None
        except ModelFileError as error:
            raise ModelFileError(f"{path} can't be used: {error}") from None
        return model

    @property
    def on_gpu(self) -> bool:
        """Whether the model runs on a GPU, where a batch is faster than one input after the other."""
        return _CUDA in self._session.get_providers()

    @abstractmethod
    def warm_up(self) -> None:
        """Run the model on a black picture and check what only a run shows.

        Raises:
            InvalidOutput: an output holds NaN or infinity.
            ModelFileError: an output does not have the shape that the metadata says.
        """

    def _run(self, image: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """The outputs with these names for one input.

        Raises:
            InvalidOutput: an output holds NaN or infinity.
        """
        outputs: list[NDArray[np.float32]] = self._session.run(names, {self.inputs[0].name: image})
        if not all(np.isfinite(output).all() for output in outputs):
            raise InvalidOutput("The model's output holds NaN or infinity.")
        return outputs


def _providers() -> list[str | tuple[str, dict[str, str]]]:
    """What runs the models: the GPU where onnxruntime-gpu is installed. ONNX Runtime takes the CPU if there is none."""
    if _CUDA not in ort.get_available_providers():
        return ["CPUExecutionProvider"]
    ort.preload_dlls()  # finds CUDA and cuDNN where pip has installed them
    return [(_CUDA, _CUDA_OPTIONS), "CPUExecutionProvider"]


def _session_options(threads: int, *, fixed_input_size: bool) -> ort.SessionOptions:
    """All options of ONNX Runtime that this project sets."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_FATAL_ONLY
    # The arena and the memory pattern keep memory that was planned for one input size, which is of no use to another.
    options.enable_cpu_mem_arena = fixed_input_size
    options.enable_mem_pattern = fixed_input_size
    # Threads that spin while they wait would take the CPU from decoding and from the event loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_tensors(kind: str, expected: Sequence[Tensor], found: Sequence[ort.NodeArg]) -> None:
    """Raise ModelFileError unless the graph has the expected tensors."""
    names, found_names = [tensor.name for tensor in expected], [node.name for node in found]
    if found_names != names:
        older = found_names == names[: len(found_names)]
        advice = ": upgrade it with `uv run -m model.upgrade FOLDER` if an older version made it" if older else ""
        raise ModelFileError(f"its {kind}s are {', '.join(found_names)}{advice}")
    for tensor, node in zip(expected, found, strict=True):
        if tensor.type != node.type or not _shape_fits(tensor, node.shape):
            raise ModelFileError(f"its {kind} {node.name} is {node.type} {node.shape}")


def _shape_fits(expected: Tensor, shape: list[int | str | None]) -> bool:
    """Whether a graph's `shape` is the expected one. In `shape` a name or None is a length that varies."""
    return len(shape) == len(expected.shape) and all(
        wanted is None or (length == wanted if isinstance(wanted, int) else not isinstance(length, int))
        for wanted, length in zip(expected.shape, shape, strict=True)
    )
