"""Whether a face of a picture is good enough to be enrolled.

The limits were chosen on 1,864 pictures of LFW: 659 of new people, 705 of background people and 500 of unknown ones,
with both recognizers, MobileNet and dlib's. How alike faces are is given for the two in this order, as the mean
similarity to the template of the same person's other pictures. Of the new people's pictures, enrolled one after the
other beside the shipped people, 1.7 % are refused with either recognizer.
"""

from typing import NamedTuple

import numpy as np

from facerec.inference.alignment import Landmarks
from facerec.inference.detector import prominence
from facerec.inference.results import PictureResult
from facerec.people.errors import (
    FaceBlurred,
    FaceTooSmall,
    FaceTurned,
    LikeAnotherPerson,
    NoFace,
    SeveralFaces,
    UnlikePerson,
)
from facerec.people.gallery import Snapshot
from facerec.people.names import canonical_name
from facerec.people.samples import Box, Vector

BOX_MIN_IOU = 0.3
"""Intersection over union from which a box means a face. People draw boxes with forehead and chin, or without."""

RIVAL_MIN_PROMINENCE = 0.7
"""Prominence from which a second face makes it doubtful whose face is meant, as a fraction of the first one's. A
second face is in 9 % of LFW's pictures, and one as prominent as this in 0.5 %."""

EYE_DISTANCE_MIN = 15
"""Smallest distance between the eyes, in pixels. With 30 pixels or more faces are as alike as in the whole picture
(0.70, 0.971), with 15 slightly less (0.66, 0.967), with 10 much less (0.57, 0.958)."""
EYE_DISTANCE_FULL = 30
"""Distance between the eyes from which more pixels don't help."""

SHARPNESS_MIN = 0.14
"""Smallest sharpness, see `facerec.inference.sharpness`. 0.2 % of the pictures have less. Blurred by a Gaussian of 0.04
times the distance between the eyes, faces are less alike (0.61 instead of 0.69, 0.966 instead of 0.971) and 20 % fall
below; of those blurred by 0.06 (0.43, 0.956) 90 %, of those blurred by 0.08 (0.28, 0.944) 99 %."""
SHARPNESS_FULL = 0.28
"""Sharpness from which more doesn't help."""

TURN_MAX = 0.35
"""Largest turn, see `Quality.turn`. Faces that are turned by 0.3 to 0.35 are a little less alike (0.65, 0.961) than
those seen from the front (0.74, 0.972). Two of the pictures have more, which is too few to know."""
TURN_FULL = 0.2
"""Turn up to which faces are as alike as those seen from the front."""

UNLIKE_MIN_DISTANCE = 1.6
"""How far a face is from the person's other samples that is taken for another person's: 1 - similarity, as a multiple
of 1 - threshold of the recognizer. 0.1 % and 0.7 % of the new people's pictures are farther away, and 83 % and
99 % of other people's."""

LIKE_MAX_DISTANCE = 0.8
"""How near a face is to another person, in the same unit, that is taken for this person's. 0.9 % and 0.1 % of the new
people's pictures are nearer, and 85 % and 83 % of those that are enrolled a second time under another name."""


class Quality(NamedTuple):
    """What makes a face worth enrolling."""

    eye_distance: float
    """Distance between the middles of the eyes, in pixels of the picture."""
    sharpness: float
    """See `facerec.inference.sharpness`."""
    turn: float
    """Distance of the base of the nose from the line midway between the eyes, as a fraction of the distance between the
    eyes. 0 is a face seen from the front."""

    @property
    def value(self) -> float:
        """The quality as one number, 0 to 1: that of the worst of the three."""
        ratios = (self.eye_distance / EYE_DISTANCE_FULL, self.sharpness / SHARPNESS_FULL)
        return min(1.0, *ratios, TURN_FULL / max(self.turn, TURN_FULL))

    def check(self) -> None:
        """Refuse a face that would make its person harder to recognize.

        Raises:
            FaceTooSmall, FaceBlurred, FaceTurned: the worst is beyond its limit.
        """
        if self.eye_distance < EYE_DISTANCE_MIN:
            raise FaceTooSmall.at(self.eye_distance, EYE_DISTANCE_MIN)
        if self.sharpness < SHARPNESS_MIN:
            raise FaceBlurred
        if self.turn > TURN_MAX:
            raise FaceTurned


def choose_face(result: PictureResult, box: Box | None) -> int:
    """The row of `result` whose face is to be enrolled.

    Args:
        result: of the crop mode `detect`.
        box: where the face is. `None` if the picture shows one person.

    Raises:
        NoFace: the picture has none, or none where the box is.
        SeveralFaces: there is no box, and a second face is nearly as prominent as the first.
    """
    if not result.faces:
        raise NoFace
    if box is not None:
        overlaps = [face.iou(box.face()) for face in result.faces]
        chosen = int(np.argmax(overlaps))
        if overlaps[chosen] < BOX_MIN_IOU:
            raise NoFace
        return chosen
    first, *others = (prominence(face, (result.width, result.height)) for face in result.faces)
    if max(others, default=0) >= RIVAL_MIN_PROMINENCE * first:
        raise SeveralFaces
    return 0


def measure(landmarks: Landmarks | None, sharpness: float) -> Quality:
    """The quality of a face.

    Args:
        landmarks: in pixels of the whole picture. `None` where those that were found can't be a face's.
        sharpness: of the face, see `facerec.inference.sharpness`.

    Raises:
        FaceTurned: there are no landmarks.
    """
    if landmarks is None:
        raise FaceTurned
    left, right, nose = landmarks[0:2].mean(axis=0), landmarks[2:4].mean(axis=0), landmarks[4]
    across = left - right
    distance = float(np.hypot(*across))
    turn = abs(float((nose - (left + right) / 2) @ across)) / distance**2
    return Quality(distance, sharpness, turn)


def check_likeness(embedding: Vector, name: str, own: Vector | None, snapshot: Snapshot, threshold: float) -> None:
    """Refuse a face that seems to be of somebody else than the person to whom it is to be added.

    Leave this out where the operator enrols by force.

    Args:
        embedding: of the face.
        name: of the person.
        own: the template of the person's other samples, with those that are added at the same time. `None` if it is
            the first.
        snapshot: everybody who is known.
        threshold: of the recognizer's metadata.

    Raises:
        LikeAnotherPerson: the face is very like another person, and more so than like its own.
        UnlikePerson: the face is unlike the person's other samples.
    """
    distance = 1 - float(embedding @ own) if own is not None else np.inf
    others = (
        match for match in snapshot.match(embedding[None], most=2)[0] if match.person.name != canonical_name(name)
    )
    if nearest := next(others, None):
        other_distance = 1 - nearest.similarity
        if other_distance <= LIKE_MAX_DISTANCE * (1 - threshold) and other_distance < distance:
            raise LikeAnotherPerson.named(nearest.person.name)
    if own is not None and distance > UNLIKE_MIN_DISTANCE * (1 - threshold):
        raise UnlikePerson
