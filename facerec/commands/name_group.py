"""`facerec people name`: enrol the faces of a group that `facerec label --group` has found."""

import time
from contextlib import closing
from pathlib import Path

from facerec.commands.add_people import Added
from facerec.commands.console import CommandError, print_table, say
from facerec.commands.enrolment import Enrolment
from facerec.commands.gallery import describe, locate
from facerec.commands.options import NameGroup
from facerec.inference.model_file import file_sha256, shipped_recognizers
from facerec.labelling.errors import LabelsOfOtherModel
from facerec.labelling.part_file import read_origin
from facerec.labelling.parts import find_parts
from facerec.labelling.stored_faces import GroupFace, read_group
from facerec.models import choose_recognizer, load_pipeline
from facerec.people.enrolment import Portrait
from facerec.people.errors import AlreadyEnrolled, SampleRefused
from facerec.people.model_choice import embedding_of
from facerec.people.names import canonical_name
from facerec.people.quality import measure
from facerec.people.store import PeopleStore

MOST_FACES = 100
"""Faces of a group that are enrolled, those of the best quality. More don't make the person easier to recognize, and
each is compared with all others."""


def name_group(options: NameGroup) -> None:
    """Enrol the faces of a group, and print how many were added and which were refused.

    Raises:
        CommandError: no face of the group can be enrolled.
        LabelsError: there are no labels, no such group, or the labels were made with another model.
        OutputError: the labels can't be read.
        NameNotAllowed: nobody can have the name.
        StoreError: the gallery can't be used, or was made with another model.
        ModelFileError: a model can't be used.
    """
    start = time.monotonic()
    name = canonical_name(options.name)
    location = locate(options.gallery)
    faces = read_group(options.labels, options.group)
    pipeline = load_pipeline(_recognizer(options, location))
    embedding = embedding_of(pipeline.recognizer.metadata, pipeline.recognizer.checksum)
    with closing(PeopleStore(location, embedding)) as store:
        say(f"Enrolling {len(faces)} faces of the group {options.group} in {describe(location)}.")
        enrolment = Enrolment(pipeline, store, force=options.force)
        pictures = enrolment.known_pictures(name)
        new = [face for face in faces if face.result.sha256 not in pictures]
        chosen = sorted(new, key=_quality, reverse=True)[:MOST_FACES]
        selection = enrolment.enrol(name, [Portrait(face.result, None) for face in chosen])
    refused = {index: error for index, error in selection.refused.items() if not isinstance(error, AlreadyEnrolled)}
    known = len(faces) - len(new) + len(selection.refused) - len(refused)
    print_table(Added._fields, Added(name, len(selection.samples), known, len(refused)))
    if refused:
        print()
        print_table(("refused", "why"), *sorted((chosen[index].path, str(error)) for index, error in refused.items()))
    if not selection.samples and not known:
        raise CommandError("no face of the group was enrolled")
    if left := len(new) - len(chosen):
        say(f"{left} faces of lower quality were left out: {MOST_FACES} are enough.")
    say(
        f"{len(selection.samples)} faces were added in {time.monotonic() - start:.0f} s. `facerec label` with the same "
        "output now gives the name to all of the person's faces, and reads no picture anew."
    )


def _recognizer(options: NameGroup, location: str | Path) -> Path:
    """The file of the recognizer that made the labels.

    Raises:
        LabelsOfOtherModel: it is neither the one that is chosen nor a shipped one.
    """
    made_with = read_origin(find_parts(options.labels)[0]).recognizer
    candidates = [choose_recognizer(options.model, location, otherwise="accurate").path]
    if options.model is None:
        candidates += shipped_recognizers().values()
    for path in candidates:
        if path.exists() and file_sha256(path) == made_with:
            return path
    raise LabelsOfOtherModel


def _quality(face: GroupFace) -> float:
    """The quality of a face, see `quality.Quality.value`."""
    try:
        return measure(face.result.landmarks[0], face.result.sharpness[0]).value
    except SampleRefused:
        return 0
