"""Why a gallery can't do what it is asked for.

PeopleError
├── GalleryError              the request doesn't fit the people who are enrolled
│   ├── UnknownPerson
│   ├── UnknownSample
│   ├── NameNotAllowed
│   ├── NameTaken
│   └── AlreadyEnrolled
├── SampleRefused             the face is not good enough to be enrolled
│   ├── NoFace
│   ├── SeveralFaces
│   ├── FaceTooSmall
│   ├── FaceBlurred
│   ├── FaceTurned
│   ├── UnlikePerson
│   └── LikeAnotherPerson
└── StoreError                the gallery can't be read or written
    ├── StoreOfOtherModel
    ├── StoreOfOtherVersion
    ├── StoreUnavailable
    ├── StoreNotWritable
    ├── StoreFull
    └── StoreDamaged
"""

from typing import Self
from uuid import UUID

from facerec.errors import CodedError


class PeopleError(CodedError):
    """The gallery can't do what it is asked for."""


class GalleryError(PeopleError):
    """The request doesn't fit the people who are enrolled."""


class UnknownPerson(GalleryError):
    """No person has this id: it never existed, or the person was deleted or merged."""

    code = "unknown_person"
    message = "Nobody who is enrolled has this id."


class UnknownSample(GalleryError):
    """The person has no sample of this id."""

    code = "unknown_sample"
    message = "The person has no sample of this id."


class NameNotAllowed(GalleryError):
    """The name is empty, too long, or holds characters that can't be seen."""

    code = "name_not_allowed"
    message = "A name needs a character that can be seen, and none that can't, such as a line break."

    @classmethod
    def longer_than(cls, limit: int) -> Self:
        """The error for a name of more than `limit` characters."""
        return cls(f"A name has at most {limit} characters.")


class NameTaken(GalleryError):
    """Another person has this name.

    Attributes:
        person_id: of the person who has it.
    """

    code = "name_taken"
    message = "Somebody who is enrolled has this name already: add the samples to this person, or merge the two."
    person_id: UUID | None = None

    @classmethod
    def by(cls, person_id: UUID) -> Self:
        """The error for a name that the person with this id has."""
        error = cls()
        error.person_id = person_id
        return error


class AlreadyEnrolled(GalleryError):
    """The person has a sample of this face of this picture."""

    code = "already_enrolled"
    message = "This face of this picture is one of the person's samples already."


class SampleRefused(PeopleError):
    """The face is not good enough to be enrolled."""


class NoFace(SampleRefused):
    """No face was detected in the picture, or none where the box is."""

    code = "no_face"
    message = "No face was found in the picture, or none in the box."


class SeveralFaces(SampleRefused):
    """The picture has several large faces, and no box says which is meant."""

    code = "several_faces"
    message = "The picture shows several people: say with a box whose face is meant, or send one where nobody else is."


class FaceTooSmall(SampleRefused):
    """The eyes are too close together in the picture."""

    code = "face_too_small"
    message = "The face is too small in the picture."

    @classmethod
    def at(cls, eye_distance: float, least: float) -> Self:
        """The error for eyes that are `eye_distance` pixels apart, where `least` are needed."""
        return cls(f"The face is too small: its eyes are {eye_distance:.0f} pixels apart, and {least:.0f} are needed.")


class FaceBlurred(SampleRefused):
    """The face lacks detail: it is out of focus, was moved or enlarged."""

    code = "face_blurred"
    message = "The face is blurred: send a picture that is in focus and was not enlarged."


class FaceTurned(SampleRefused):
    """The face looks too far aside, or its points can't be found."""

    code = "face_turned"
    message = "The face is turned too far aside or covered: send a picture that shows both eyes and the nose."


class UnlikePerson(SampleRefused):
    """The face is unlike the person's other samples."""

    code = "unlike_person"
    message = "The face is unlike this person's other pictures. If it is the same person, enrol it by force."


class LikeAnotherPerson(SampleRefused):
    """The face is very like another person."""

    code = "like_another_person"
    message = "The face is very like another person. If it is not that person, enrol it by force."

    @classmethod
    def named(cls, name: str) -> Self:
        """The error for a face that is very like the person with this name. Show it to those who may enrol alone."""
        return cls(f"The face is very like {name}. If it is not that person, enrol it by force.")


class StoreError(PeopleError):
    """The gallery can't be read or written. If it happens in a change, either all of it was made or nothing.

    Attributes:
        reason: the driver's own words, for the operator alone. They may quote files, hosts and damaged values, never a
            password.
    """

    def __init__(self, message: str | None = None, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class StoreOfOtherModel(StoreError):
    """The people were enrolled with another model, whose embeddings can't be compared with this one's."""

    code = "gallery_of_other_model"
    message = (
        "The gallery's people were enrolled with another model. Use that one, or choose a new gallery and enrol the "
        "people anew from their pictures with `facerec people add FOLDER`."
    )


class StoreOfOtherVersion(StoreError):
    """The tables are those of another version of this project."""

    code = "gallery_of_other_version"
    message = (
        "The gallery was made by another version of this project: use that version, or choose a new gallery and enrol "
        "the people anew from their pictures with `facerec people add FOLDER`."
    )


class StoreUnavailable(StoreError):
    """The file can't be read or is locked, or the database can't be reached. The change may be tried again."""

    code = "gallery_unavailable"
    message = (
        "The gallery can't be opened at the moment: its server can't be reached, another process keeps its file "
        "locked, or this user may not read it. If the connection broke off at the very end of a change, it may have "
        "been made."
    )


class StoreNotWritable(StoreError):
    """The file, its folder or the database may only be read."""

    code = "gallery_not_writable"
    message = (
        "The gallery can't be written: the operator must let the service write the folder of its file (in a container, "
        "a volume), or give its database user the right."
    )


class StoreFull(StoreError):
    """A write failed because the disk is full, or a quota or limit is reached."""

    code = "gallery_full"
    message = "The gallery can't grow, and nothing was changed: its disk is full, or a limit is reached."


class StoreDamaged(StoreError):
    """The file is not a gallery, or a part of it can't be read."""

    code = "gallery_damaged"
    message = "The gallery is damaged or not a gallery: restore it from a backup."
