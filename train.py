"""Train, evaluate, calibrate and export a network that recognises known people.

    uv run train.py                          Labeled Faces in the Wild, downloaded once (243 MB)
    uv run train.py --data my_people/        a folder of people of your own, NAME/*.jpg|png|webp
    uv run train.py --resume                 go on with a run that was stopped
    uv run train.py --explore                describe the data and draw its figures, without training
    uv run train.py --folds 5                train five networks, so that every image is tested once
    uv run train.py --tune                   search embedding size, unfrozen blocks and learning rate
    uv run torchrun --nproc-per-node=2 train.py        train in two processes, one per GPU

It leaves model/face_recognition.onnx with its checksum, model/report.json, the model card model/README.md and the
figures in images/.
"""

import shlex
import sys
from datetime import UTC, datetime

import torch
import tyro
from pydantic import JsonValue

from facerec import __version__
from facerec.learning.dataset import FaceImages, load_faces
from facerec.learning.device import describe_machine, keep_freed_memory, pick_device
from facerec.learning.distributed import first_process_first, process_group, rank
from facerec.learning.errors import LearningError
from facerec.learning.evaluate import Evaluation, evaluate
from facerec.learning.explore import draw_data
from facerec.learning.export import export
from facerec.learning.fit import Fitted, fit
from facerec.learning.network import describe_start
from facerec.learning.options import Options
from facerec.learning.plots import draw_run, save_figures
from facerec.learning.report import Report
from facerec.learning.roles import Roles, assign_roles, describe_data
from facerec.learning.tune import save_trials, tune
from facerec.model_file import ModelMetadata


def main(options: Options) -> None:
    """The whole path, from pictures to files that a service can use."""
    keep_freed_memory()
    with process_group():
        writes = rank() == 0
        device = pick_device()
        with first_process_first():
            faces = load_faces(options.data, data_dir=options.data_dir)
        folds = [
            assign_roles(faces, min_images=options.min_images, seed=options.seed, fold=fold)
            for fold in range(options.folds)
        ]
        data = describe_data(faces, folds[0])
        if writes:
            print_table("Data", data)
            save_figures(draw_data(faces, folds[0]), options.images)
        if options.explore:
            return
        if options.tune:
            save_trials(tune(faces, folds[0], options, device=device), options)
            return
        fitted = [fit(faces, roles, options, fold=fold, device=device) for fold, roles in enumerate(folds)]
    if writes:
        evaluations = [evaluate(one.network, faces, roles, options) for one, roles in zip(fitted, folds, strict=True)]
        publish(fitted[0], faces, folds[0], evaluations, options, data=data, device=device)


def publish(
    fitted: Fitted,
    faces: FaceImages,
    roles: Roles,
    evaluations: list[Evaluation],
    options: Options,
    *,
    data: dict[str, JsonValue],
    device: torch.device,
) -> None:
    """Export the network of the first fold; write the report, the model card and the figures of the run."""
    evaluation = evaluations[0]
    metadata = ModelMetadata(
        version=__version__,
        created=datetime.now(UTC).replace(microsecond=0),
        people=tuple(evaluation.people),
        embedding_size=options.embedding_size,
        threshold=evaluation.threshold,
        false_accept_rate=evaluation.chosen_false_accept_rate,
        temperature=evaluation.temperature,
        figures=evaluation.figures.values(),
        configuration=options.recipe(),
        licence=describe_start(options.weights, licence=options.weights_licence),
    )
    parity = export(
        fitted.network, metadata, options.output, faces=faces, test=roles.test, probabilities=evaluation.probabilities
    )
    seconds = sum(epoch.seconds for epoch in fitted.history)
    report = Report(
        command=shlex.join(["uv", "run", "train.py", *(word for word in sys.argv[1:] if word != "--resume")]),
        machine=describe_machine(device),
        training_seconds=seconds,
        training_images_per_second=sum(epoch.images for epoch in fitted.history) / seconds,
        lfw=options.data is None,
        data=data,
        metadata=metadata,
        figures=evaluation.figures,
        folds=[each.figures for each in evaluations],
        mistakes=evaluation.mistakes,
        parity=parity,
        best_epoch=fitted.best_epoch,
        history=fitted.history,
    )
    report.write(options.output)
    figures = draw_run(roles, history=fitted.history, best_epoch=fitted.best_epoch, evaluation=evaluation)
    save_figures(figures, options.images)
    print_table("Test", dict(report.summary()))
    print(f"The model, its report and its card are in {options.output}/, the figures in {options.images}/.")


def print_table(title: str, rows: dict[str, JsonValue]) -> None:
    """Print names and values under a title."""
    print(f"\n{title}")
    for name, value in rows.items():
        print(f"  {name}: {value}")
    print(flush=True)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except LearningError as error:
        sys.exit(f"train.py: {error}")
    except KeyboardInterrupt:
        sys.exit("\ntrain.py: stopped. Go on from the last finished epoch with the same command and --resume.")
