"""An ONNX file, verified and loaded into ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from facerec.inference.model_file import ModelFileError, Tensor, verify_checksum

_FATAL = 4  # ONNX Runtime's severity of log lines; what goes wrong arrives as an exception all the same


def open_session(
    path: Path, *, threads: int, one_size: bool, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> tuple[ort.InferenceSession, str]:
    """The session of the file at `path` and the file's SHA-256, once both are what they should be.

    Args:
        path: of the file; its checksum stands beside it.
        threads: that one run may use.
        one_size: whether all runs have inputs of the same size.
        inputs: what the graph must take.
        outputs: what it must give.

    Raises:
        ModelFileError: the file is missing, altered, no ONNX model, or one with other inputs or outputs.
    """
    checksum = verify_checksum(path)
    try:
        session = ort.InferenceSession(path, _options(threads, one_size=one_size), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise ModelFileError(f"{path} is not an ONNX model that can be loaded: {error}") from None
    try:
        _check_signature("input", inputs, session.get_inputs())
        _check_signature("output", outputs, session.get_outputs())
    except ModelFileError as error:
        raise ModelFileError(f"{path} can't be used: {error}") from None
    return session, checksum


def _options(threads: int, *, one_size: bool) -> ort.SessionOptions:
    """Every knob of ONNX Runtime that this project turns."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    # Memory that is planned for one size and kept is not what another size needs.
    options.enable_cpu_mem_arena = one_size
    options.enable_mem_pattern = one_size
    # Threads that spin while they wait take the CPU from decoding and from the event loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_signature(kind: str, promised: Sequence[Tensor], found: Sequence[ort.NodeArg]) -> None:
    """Raise ModelFileError unless the graph has the tensors that `facerec.inference.model_file` promises."""
    if [tensor.name for tensor in promised] != [node.name for node in found]:
        raise ModelFileError(f"its {kind}s are {', '.join(node.name for node in found)}")
    for tensor, node in zip(promised, found, strict=True):
        if tensor.type != node.type or not _fits(tensor, node.shape):
            raise ModelFileError(f"its {kind} {node.name} is {node.type} {node.shape}")


def _fits(promised: Tensor, shape: list[int | str | None]) -> bool:
    """Whether `shape`, in which a name or None is a length that varies, is what was promised."""
    return len(shape) == len(promised.shape) and all(
        wanted is None or (length == wanted if isinstance(wanted, int) else not isinstance(length, int))
        for wanted, length in zip(promised.shape, shape, strict=True)
    )
