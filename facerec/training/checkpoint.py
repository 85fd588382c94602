"""Checkpoints: weights, configuration and metrics of a run, written so that a crash never leaves half a file."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import torch

from facerec.training.atomic_write import replacing
from facerec.training.errors import CheckpointError
from facerec.training.options import Options

OPTIONS = {field.name for field in fields(Options)}

Checkpoint = dict[str, Any]
"""`recipe` (the options that made it), the states of its parts, and what else the writer needs."""


class Stateful(Protocol):
    """A part of a run that a checkpoint can hold: a network, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """All that changes in training."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Go on from there."""
        ...


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write to a temporary name, then rename.

    Raises:
        CheckpointError: it can't be written, for example because the disk is full.
    """
    try:
        with replacing(path) as file:
            torch.save(checkpoint, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise CheckpointError(f"can't write {path}: {error}. The checkpoint before it is unchanged.") from error


def load_checkpoint(path: Path, *, recipe: dict[str, Any]) -> Checkpoint:
    """Read a checkpoint of a run with the options `recipe`, tensors on the CPU.

    Raises:
        CheckpointError: it is missing, damaged, or of a run with other options (named in the message).
    """
    checkpoint = read_checkpoint(path)
    theirs: dict[str, Any] = checkpoint["recipe"]
    different = sorted(name for name in recipe.keys() | theirs.keys() if recipe.get(name) != theirs.get(name))
    if different:
        differences = ", ".join(_difference(name, theirs.get(name), recipe.get(name)) for name in different)
        raise CheckpointError(f"{path} is of another run: {differences}. Go on with the same, or start anew.")
    return checkpoint


def restore(parts: Mapping[str, Stateful], path: Path, *, recipe: dict[str, Any]) -> Checkpoint:
    """Give each part the state that the checkpoint at `path` holds of it; returns the checkpoint.

    Raises:
        CheckpointError: as `load_checkpoint` does, or another version of this project wrote it, with other parts.
    """
    checkpoint = load_checkpoint(path, recipe=recipe)
    try:
        for name, part in parts.items():
            part.load_state_dict(checkpoint[name])
    except (KeyError, ValueError, RuntimeError) as error:
        raise _of_another_version(path, error) from error
    return checkpoint


def _of_another_version(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is of another version of this project ({error!r}): delete or rename that folder and start anew."
    )


def _difference(name: str, before: object, now: object) -> str:
    """In words that say what to change."""
    if name == "data":
        return "other pictures, or another detector that crops them"
    if name in OPTIONS:
        return f"--{name.replace('_', '-')} {before} (now {now})"
    return f"another version of this project, of {name.replace('_', ' ')} {before} (now {now})"


def refuse_to_overwrite(path: Path, *, finished: Callable[[Checkpoint], bool]) -> None:
    """Make sure that no unfinished run would be lost.

    Raises:
        CheckpointError: `path` holds a run that isn't finished, or is damaged or of another version.
    """
    if not path.exists():
        return
    try:
        over = finished(read_checkpoint(path))
    except KeyError as error:
        raise _of_another_version(path, error) from error
    if not over:
        raise CheckpointError(
            f"{path.parent} holds an unfinished run: go on with it (--resume), or delete or rename that folder."
        )


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of any run, tensors on the CPU.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    if not path.exists():
        raise CheckpointError(f"{path} doesn't exist: there is no run to go on with. Start one without --resume.")
    try:
        checkpoint: Checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint["recipe"], dict):
            raise TypeError("its recipe is no dictionary")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint: {error}. Delete it and start anew.") from error
    return checkpoint
