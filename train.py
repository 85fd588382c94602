"""Train, evaluate, calibrate and export a network that recognizes known people.

    uv run train.py                          Labeled Faces in the Wild, downloaded once (243 MB)
    uv run train.py --data my_people/        a folder of people of your own, NAME/*.jpg|png|webp
    uv run train.py --resume                 go on with a run that was stopped
    uv run train.py --explore                describe the data and draw its plots, without training
    uv run train.py --folds 5                train five networks, so that every image is tested once
    uv run train.py --tune --epochs 3        search embedding size, unfrozen blocks and learning rate
    uv run train.py --train-detector                train the network that finds the faces in a photo
    uv run torchrun --nproc-per-node=2 train.py        train in two processes, one per GPU

It leaves model/face_recognition.onnx with its checksum, model/report.json, the model card model/README.md and the
plots in images/; with --detector, model/face_detector.onnx with its checksum, report and card, and images/photo.png;
with --tune, model/tuning.csv and images/tuning.png.
"""

import shlex
import sys
from collections.abc import Mapping

import tyro
from pydantic import JsonValue

from facerec.training.dataset import FaceDataset, load_dataset, load_detector
from facerec.training.detection.fit import fit_detector
from facerec.training.detection.publish import load_recognizer, publish_detector
from facerec.training.device import describe_machine, keep_freed_memory, pick_device
from facerec.training.distributed import first_process_first, process_group, rank, world_size
from facerec.training.errors import DataError, LearningError
from facerec.training.exploration import describe_data, draw_data
from facerec.training.options import Options
from facerec.training.plots import save_plots
from facerec.training.recognition.evaluate import evaluate
from facerec.training.recognition.fit import fit
from facerec.training.recognition.publish import publish
from facerec.training.recognition.tune import save_trials, tune
from facerec.training.split import split_dataset


def main(options: Options) -> None:
    """The whole path, from pictures to files that a service can use."""
    keep_freed_memory()
    with process_group():
        writes = rank() == 0
        device = pick_device()
        origin = {"command": command(), "machine": describe_machine(device)}
        with first_process_first():
            dataset = load_dataset(options.data, data_dir=options.data_dir)
        folds = [
            split_dataset(dataset, min_images=options.min_images, seed=options.seed, fold=fold)
            for fold in range(options.folds)
        ]
        data = describe_data(dataset, folds[0])
        if writes:
            print_table("Data", data)
            save_plots(draw_data(dataset, folds[0]), options.images)
        if options.explore:
            return
        if options.train_detector:
            recognizer = load_recognizer(options, folds[0])
            detector = fit_detector(dataset, folds[0].background, options, device=device)
            print_table("Face detector", publish_detector(detector, recognizer, dataset, folds[0], options, **origin))
            return
        with first_process_first():
            cropped = crop(dataset, options)
        if options.tune:
            save_trials(tune(cropped, folds[0], options, device=device), options)
            return
        fitted = [fit(cropped, split, options, fold=fold, device=device) for fold, split in enumerate(folds)]
    if writes:
        evaluations = [
            evaluate(one.network, cropped, dataset, split, options) for one, split in zip(fitted, folds, strict=True)
        ]
        metrics = publish(fitted, cropped, folds[0], evaluations, options, data=data, **origin)
        print_table("Test", metrics)
        print(f"The model, its report and its card are in {options.output}/, the plots in {options.images}/.")


def crop(dataset: FaceDataset, options: Options) -> FaceDataset:
    """The same pictures, cropped as the service crops them.

    Raises:
        DataError: the detector can't be used, or they are no longer the same.
    """
    if options.crop_mode == "centre":
        return dataset
    cropped = load_dataset(options.data, data_dir=options.data_dir, detector=load_detector(options.detector))
    if cropped.paths != dataset.paths:
        raise DataError("pictures came or went while they were read: run the command again.")
    if cropped.faceless and rank() == 0:
        print(f"No face was found in {len(cropped.faceless)} pictures, whose centres are taken instead:")
        print("".join(f"  {picture}\n" for picture in cropped.faceless))
    return cropped


def command() -> str:
    """The command line that this run can be repeated with."""
    launcher = ["torchrun", f"--nproc-per-node={world_size()}"] if world_size() > 1 else []
    return shlex.join(["uv", "run", *launcher, "train.py", *(word for word in sys.argv[1:] if word != "--resume")])


def print_table(title: str, rows: Mapping[str, JsonValue]) -> None:
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
        sys.exit("\ntrain.py: stopped. The same command with --resume goes on from its checkpoint; --tune needs none.")
