"""Why an archive, a picture of it, or the output of its labels can't be used.

LabellingError
├── PathError               a path of the archive can't be searched: it is reported, and the others are searched
│   ├── PathNotFound
│   ├── FolderUnreadable
│   ├── LinkCircle
│   ├── StorageFailed
│   └── AddressNotSupported
├── PictureFailed           a picture can't be read or recognized: its row says so
│   ├── PictureGone
│   ├── PictureUnreadable
│   ├── PictureChanged
│   ├── ModelFailed
│   └── WorkerEnded
├── ClusterError            the Ray cluster can't be used: the run ends, and what was written stays
│   ├── RayNotInstalled
│   ├── ClusterNotReached
│   └── ClusterFailed
├── LabelsError             labels can't be used
│   ├── LabelsNotFound
│   ├── LabelsOfOtherModel
│   └── GroupNotFound
└── OutputError             the labels can't be written: the run ends, and what was written stays
    ├── OutputNotSupported
    ├── OutputExists
    ├── OutputInUse
    ├── OutputNotLabels
    ├── OutputOfOtherVersion
    ├── OutputOfOtherModel
    ├── OutputOfOtherGallery
    ├── OutputUnreadable
    ├── OutputDamaged
    ├── OutputNotWritable
    ├── OutputFull
    └── OutputClosed

The rows of pictures also have the errors of `facerec.pictures.errors`.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from facerec.errors import CodedError


class LabellingError(CodedError):
    """An archive, a picture of it, or the output of its labels can't be used."""

    @classmethod
    def because(cls, reason: object) -> Self:
        """The error with what the system or the storage says of it."""
        return cls(f"{cls.message} ({' '.join(str(reason).split())})")


class PathError(LabellingError):
    """A path of the archive can't be searched."""


class PathNotFound(PathError):
    """There is neither a file nor a folder of this name, and nothing that the pattern matches."""

    code = "path_not_found"
    message = "There is no such file or folder, or the pattern matches nothing: check the path."


class FolderUnreadable(PathError):
    """A folder can't be listed."""

    code = "folder_unreadable"
    message = "The folder can't be listed, so its pictures are left out: grant the right to read it, and run again."


class LinkCircle(PathError):
    """A link leads to a folder that it lies in, or to itself."""

    code = "link_circle"
    message = "The link leads back to a folder that it lies in, which is searched already."


class StorageFailed(PathError):
    """A storage such as a bucket can't be listed."""

    code = "storage_failed"
    message = "The storage can't be listed: check its name, the credentials and the connection, and run again."


class AddressNotSupported(PathError):
    """There is no access to addresses of this kind."""

    code = "address_not_supported"
    message = "Addresses of this kind can't be read: check the part before ://, or install its package for fsspec."


class PictureFailed(LabellingError):
    """A picture can't be read or recognized."""


class PictureGone(PictureFailed):
    """The file is not there, or no longer."""

    code = "picture_gone"
    message = "The picture is not there: it was removed, or its name is wrong, or it is a link to nothing."


class PictureUnreadable(PictureFailed):
    """The file can't be read."""

    code = "picture_unreadable"
    message = "The picture can't be read: check the right to read it, and that it is a file."


class PictureChanged(PictureFailed):
    """The file changed while it was read."""

    code = "picture_changed"
    message = "The picture changed while it was read: run again once it is complete."


class ModelFailed(PictureFailed):
    """The models gave no usable answer."""

    code = "model_failed"
    message = "The models gave no usable answer for this picture."


class WorkerEnded(PictureFailed):
    """The worker process ended, and the picture isn't known to be the reason."""

    code = "worker_ended"
    message = "The process that recognized the picture ended, perhaps for lack of memory: run again, or use fewer."


class ClusterError(LabellingError):
    """The Ray cluster can't be used."""


class RayNotInstalled(ClusterError):
    """The package of Ray is missing on this machine."""

    code = "ray_not_installed"
    message = 'Labelling on a cluster needs Ray: install it with `pip install ".[ray]"` in the folder of the project.'


class ClusterNotReached(ClusterError):
    """There is no cluster at the address, or it can't be joined."""

    code = "cluster_not_reached"
    message = (
        "The Ray cluster can't be reached: give the HOST:PORT that `ray start --head` printed, and run the command on "
        "a machine of the cluster."
    )


class ClusterFailed(ClusterError):
    """The cluster gave up on the pictures."""

    code = "cluster_failed"
    message = (
        "The Ray cluster can't label pictures: each of its machines needs the same version of this project, and the "
        "model files at the same paths."
    )


class LabelsError(LabellingError):
    """Labels can't be used."""


class LabelsNotFound(LabelsError):
    """The folder has no labels, or can't be read."""

    code = "labels_not_found"
    message = "There are no labels in this folder: `facerec label PHOTOS --output FOLDER` makes them."


class LabelsOfOtherModel(LabelsError):
    """The labels were made with another recognizer than the one that is used."""

    code = "labels_of_other_model"
    message = "The labels were made with another model: choose that one with --model."


class GroupNotFound(LabelsError):
    """No face belongs to the group."""

    code = "group_not_found"
    message = (
        "No face belongs to this group: `facerec label PHOTOS --output FOLDER --group --report REPORT.html` makes "
        "groups and shows them."
    )


class OutputError(LabellingError):
    """The labels can't be written, or go on where they were."""


class OutputNotSupported(OutputError):
    """The output's name ends like a file of another kind, or is an address."""

    code = "output_not_supported"
    message = (
        "Labels are written to a folder, to a file that ends in .parquet, .csv or .jsonl, or to - for standard output. "
        "A folder whose name has a dot is given with a slash at its end."
    )


class OutputExists(OutputError):
    """A single file is there already. It can't be continued."""

    code = "output_exists"
    message = (
        "The file exists already, and a single file can't be continued: remove it or choose another name, or give a "
        "folder, which goes on where it was."
    )


class OutputInUse(OutputError):
    """Another process writes to the folder."""

    code = "output_in_use"
    message = "Another process is writing labels to this folder: wait for it, or choose another folder."


class OutputNotLabels(OutputError):
    """The folder holds files that are not the labels of this project."""

    code = "output_not_labels"
    message = "The output holds something else than labels: choose a new or empty folder."


class OutputOfOtherVersion(OutputError):
    """The labels have the format of another version of this project."""

    code = "output_of_other_version"
    message = (
        "The labels in this folder were made by another version of this project: go on with that version, or choose "
        "a new folder."
    )


class OutputOfOtherModel(OutputError):
    """The labels were made with other model files."""

    code = "output_of_other_model"
    message = (
        "The labels in this folder were made with other model files, whose embeddings and boxes can't be mixed with "
        "these: go on with those models, or choose a new folder."
    )


class OutputOfOtherGallery(OutputError):
    """The labels name enrolled people, and there is no gallery."""

    code = "output_of_other_gallery"
    message = (
        "The labels in this folder name people of a gallery, and none is where --gallery or FACEREC_GALLERY says, or "
        "in your data folder: name the right one. To label without these people, choose a new folder."
    )


class OutputUnreadable(OutputError):
    """The system can't read a part, which need not be damaged."""

    code = "output_unreadable"
    message = (
        "A part of the labels can't be read: check the right to read it, and the disk or network folder it is on. If "
        "another run has just replaced it, run again."
    )


class OutputDamaged(OutputError):
    """A part can't be read."""

    code = "output_damaged"
    message = "A part of the labels is damaged: remove it, and its pictures are done again."


class OutputNotWritable(OutputError):
    """The output can't be written."""

    code = "output_not_writable"
    message = "The labels can't be written: check the output's name and the right to write there."


class OutputFull(OutputError):
    """A write failed because the disk is full, or a quota or limit is reached."""

    code = "output_full"
    message = (
        "The labels can't be written because the disk is full or a limit is reached. A folder has kept all parts so "
        "far: make room and run again."
    )


class OutputClosed(OutputError):
    """Nobody reads standard output any more."""

    code = "output_closed"
    message = "Standard output was closed."


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def output_errors() -> Iterator[None]:
    """Raise the errors of writing files as those of the output.

    Raises:
        OutputFull, OutputClosed, OutputNotWritable: the block raised an OSError.
    """
    try:
        yield
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        if error.errno in _FULL:
            raise OutputFull from None
        raise OutputNotWritable.because(error) from None
