"""Train, evaluate, calibrate and export a network that recognizes known people.

    uv run train.py                          Labeled Faces in the Wild, downloaded once (243 MB)
    uv run train.py --data my_people/        your own folder of people, NAME/*.jpg, *.heic or the like
    uv run train.py --resume                 go on with a run that was stopped
    uv run train.py --folds 5                train five networks, so that every image is tested once
    uv run train.py --backbone dlib-resnet   make the accurate model of dlib's network, without training
    uv run train.py explore                  describe the data and draw its plots, without training
    uv run train.py --teacher none           train on the names alone, without a teacher
    uv run train.py tune                     search embedding size, unfrozen blocks and learning rate of the latter
    uv run train.py detector                 train the network that finds the faces in a photo
    uv run train.py landmarks                train the network that finds five points of a face, to align it by
    uv run torchrun --nproc-per-node=2 train.py --teacher none        train in two processes, one per GPU

Training writes model/face_recognition.onnx with its checksum, its report face_recognition.json, its model card
face_recognition.md, and the plots in images/. `--backbone dlib-resnet` writes face_recognition_accurate.* and the plots
in images/accurate/. `detector` writes model/face_detector.onnx with checksum, report and card;
`landmarks` writes model/face_landmarks.onnx with checksum, report and card; `tune` writes model/tuning.csv and
images/tuning.png; `explore` writes plots to data/plots/. `train.py SUBCOMMAND --help` lists a subcommand's options.
"""

import sys

from facerec.commands.console import escape_unencodable, one_line
from facerec.training import commands
from facerec.training.commands import main
from facerec.training.errors import TrainingError
from facerec.training.options import AnyOptions

__all__ = ["main", "parse"]


def parse(arguments: list[str]) -> AnyOptions:
    """The options of the command line.

    Raises:
        SystemExit: after --help, and for options that don't exist or can't be read.
        OptionError: a value is out of its bounds.
    """
    return commands.parse(arguments, program="train.py", description=__doc__)


if __name__ == "__main__":
    escape_unencodable()
    try:
        main(parse(sys.argv[1:]))
    except TrainingError as error:
        sys.exit(one_line(f"train.py: {error}"))
    except KeyboardInterrupt:
        sys.exit("\ntrain.py: stopped. The same command with --resume goes on; tune and explore go on without it.")
