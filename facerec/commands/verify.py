"""`facerec verify`: whether two pictures show the same person."""

from contextlib import closing

from facerec.commands.console import CommandError, say
from facerec.commands.gallery import locate
from facerec.commands.options import Verify
from facerec.models import choose_recognizer
from facerec.recognizer import Recognizer


def verify(options: Verify) -> None:
    """Print the answer.

    Raises:
        CommandError: a picture can't be read.
        CodedError: a picture can't be decoded, or does not show one face; the gallery can't be read.
        InferenceError: a model can't be used.
    """
    location = locate(options.gallery)
    model = choose_recognizer(options.model, location, otherwise="accurate")
    say(f"Comparing with {model.path.name}, {model.reason}.")
    with closing(Recognizer.load(model=model.path, gallery=location)) as recognizer:  # with the model's own threshold
        try:
            answer = recognizer.verify(options.first, options.second)
        except OSError as error:
            raise CommandError(f"can't read {error.filename}: {error.strerror}") from error
    assert answer.false_accept_rate is not None
    relation = "at least" if answer.same_person else "below"
    print(
        f"{'The same person' if answer.same_person else 'Not the same person'}: the similarity {answer.similarity:.3f} "
        f"is {relation} the threshold {answer.threshold:.3f}, "
        f"which takes {answer.false_accept_rate:.1%} of other people for the same."
    )
