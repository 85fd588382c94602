"""The frame of every training command: processes, device, and the pictures as crops."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from facerec.training.crop_pictures import PictureCropper
from facerec.training.dataset import FaceDataset, load_dataset
from facerec.training.device import keep_freed_memory, pick_device
from facerec.training.distributed import first_process_first, process_group, rank, world_size
from facerec.training.errors import DataError, OptionError
from facerec.training.joined import join
from facerec.training.options import DataOptions, RecognizerDataOptions
from facerec.training.split import ENROL_INSTEAD


@contextmanager
def training_session(*, several_processes: bool = False) -> Iterator[torch.device]:
    """Prepare the memory, join the processes that `torchrun` started, if it did, and give the block its device.

    Args:
        several_processes: whether the command can work in several.

    Raises:
        OptionError: there are several processes and the command works in one, or there are more of them than GPUs.
    """
    keep_freed_memory()
    with process_group():
        if world_size() > 1 and not several_processes:
            raise OptionError(
                "this works in one process: start it without torchrun. Only training with --teacher none takes several."
            )
        yield pick_device()


def load_pictures(options: DataOptions) -> FaceDataset:
    """The data set, cropped in the mode `centre`. The first process prepares it for all.

    Raises:
        DataError: it can't be had or used.
    """
    return _load(options, cropper=None)


def load_crops(pictures: FaceDataset, options: RecognizerDataOptions, cropper: PictureCropper) -> FaceDataset:
    """The same pictures, cropped for a recognizer. The first process prepares them for all.

    Raises:
        DataError: the pictures are no longer the same.
    """
    if not cropper.detector and not cropper.cropper.alignment:
        return pictures
    dataset = _load(options, cropper=cropper)
    if dataset.paths != pictures.paths:
        raise DataError("pictures came or went while they were read: run the command again.")
    if dataset.without_face and rank() == 0:
        print(f"No face was found in {len(dataset.without_face)} pictures. Their centres are used instead:")
        print("".join(f"  {path}\n" for path in dataset.without_face))
    return dataset


def _load(options: DataOptions, *, cropper: PictureCropper | None) -> FaceDataset:
    """The people of `--data`, joined with those of `--background`."""
    with first_process_first():
        named = load_dataset(options.data, data_dir=options.data_dir, cropper=cropper)
        if options.data is None or options.background == "none" or named.is_lfw():
            return named
        source = None if options.background == "lfw" else options.background
        try:
            others = load_dataset(source, data_dir=options.data_dir, cropper=cropper)
        except DataError as error:
            raise DataError(
                f"the people of --background {options.background} can't be had: {error} {ENROL_INSTEAD}"
            ) from error
    return join(named, others)
