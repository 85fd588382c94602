"""Checkpoints: the weights, recipe and history of a run, written so that a crash never leaves half a file."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from facerec.atomic_write import atomic_write
from facerec.training.errors import CheckpointError
from facerec.training.options import option_name

Checkpoint = dict[str, Any]
"""`recipe` (the options that decide the weights), the states of the run's parts, and what else the run needs."""


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint.

    Raises:
        CheckpointError: it can't be written, for example because the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            torch.save(checkpoint, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise CheckpointError(f"can't write {path}: {error}. The checkpoint before it is unchanged.") from error


def load_checkpoint(path: Path, *, recipe: dict[str, Any]) -> Checkpoint:
    """Read the checkpoint of a run with the given recipe, tensors on the CPU.

    Raises:
        CheckpointError: it is missing, damaged, or of a run with another recipe. The message names the differences.
    """
    checkpoint = read_checkpoint(path)
    found: dict[str, Any] = checkpoint["recipe"]
    different = sorted(name for name in recipe.keys() | found.keys() if recipe.get(name) != found.get(name))
    if different:
        differences = ", ".join(_difference(name, found, recipe) for name in different)
        raise CheckpointError(f"{path} is of another run: {differences}. Go on with the same, or start anew.")
    return checkpoint


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the checkpoint of any run, tensors on the CPU.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    if not path.exists():
        raise CheckpointError(f"{path} doesn't exist: there is no run to go on with. Start one without --resume.")
    try:
        checkpoint = load_tensors(path)
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("recipe"), dict):
            raise ValueError("it has no recipe")
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint: {error}. Delete it and start anew.") from error
    return checkpoint


def load_tensors(path: Path) -> Any:
    """The tensors and plain values of a file that `torch.save` wrote, on the CPU. Code in the file is not run.

    Raises:
        ValueError: the file can't be read, is damaged, or holds other objects. The message is one line.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # torch warns of files that it did not write
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its message explains how to run the code in the file
        raise ValueError("it is no file of torch.save, or holds other objects than tensors and plain values") from error
    except Exception as error:  # torch.load raises errors of many kinds for other files
        raise ValueError(str(error).partition("\n")[0] or type(error).__name__) from error


def refuse_to_overwrite(path: Path, *, finished: Callable[[Checkpoint], bool]) -> None:
    """Make sure that a new run would not overwrite an unfinished one.

    Args:
        path: of the checkpoint that the new run would overwrite.
        finished: whether a checkpoint is that of a finished run.

    Raises:
        CheckpointError: `path` holds an unfinished run, or is damaged or of another version.
    """
    if not path.exists():
        return
    try:
        is_finished = finished(read_checkpoint(path))
    except (KeyError, TypeError) as error:
        raise wrong_version_error(path, error) from error
    if not is_finished:
        raise CheckpointError(
            f"{path.parent} holds an unfinished run: go on with it (--resume), or delete or rename that folder."
        )


def wrong_version_error(path: Path, error: Exception) -> CheckpointError:
    """The error for a checkpoint that lacks what this version expects."""
    return CheckpointError(
        f"{path} is of another version of this project ({error!r}): delete or rename that folder and start anew."
    )


def _difference(name: str, found: dict[str, Any], expected: dict[str, Any]) -> str:
    """The difference between two recipes at `name`, in words that say what to change."""
    if name == "data_fingerprint":
        return "other pictures, or crops of another detector"
    if name in found and name in expected:
        return f"{option_name(name)} {found[name]} (now {expected[name]})"
    return f"another version of this project, of {name.replace('_', ' ')} {found.get(name)} (now {expected.get(name)})"
