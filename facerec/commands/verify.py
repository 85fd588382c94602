"""`facerec verify`: whether two pictures show the same person."""

from facerec.commands.console import CommandError, say
from facerec.commands.gallery import locate
from facerec.commands.options import Verify
from facerec.models import choose_recognizer, load_pipeline
from facerec.people.identification import Identifier
from facerec.recognizer import verify_faces


def verify(options: Verify) -> None:
    """Print the answer. The gallery, if any, only chooses the model where nothing else does.

    Raises:
        CommandError: a picture can't be read.
        CodedError: a picture can't be decoded, or does not show one face; the gallery that is to choose can't be read.
        InferenceError: a model can't be used.
    """
    location = locate(options.gallery)
    model = choose_recognizer(options.model, location, otherwise="accurate")
    say(f"Comparing with {model.path.name}, {model.reason}.")
    pipeline = load_pipeline(model.path)
    try:
        answer = verify_faces(
            pipeline, Identifier(pipeline.recognizer.metadata, threshold=None), options.first, options.second
        )
    except OSError as error:
        raise CommandError(f"can't read {error.filename}: {error.strerror}") from error
    assert answer.false_accept_rate is not None
    relation = "at least" if answer.same_person else "below"
    print(
        f"{'The same person' if answer.same_person else 'Not the same person'}: the similarity {answer.similarity:.3f} "
        f"is {relation} the threshold {answer.threshold:.3f}, "
        f"which takes {answer.false_accept_rate:.1%} of other people for the same."
    )
