"""What the commands of training do, from the pictures to the files. `train.py` and `facerec train` run them."""

from collections.abc import Mapping

import tyro
from pydantic import JsonValue

from facerec.training.options import (
    WITHOUT_TEACHER_DEFAULTS,
    AnyOptions,
    DetectorOptions,
    ExploreOptions,
    LandmarkOptions,
    RecognizerOptions,
    TuneOptions,
    validated,
)
from facerec.training.outputs import check_outputs, explained_write_errors

CLI_STYLE = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
"""The names of options are flat, and a flag has no opposite."""

# Each command imports what it needs, so that --help and wrong options are answered without importing torch.
# ruff: noqa: PLC0415


def main(options: AnyOptions) -> None:
    """Run the command that `options` belong to.

    Raises:
        TrainingError: it can't start or go on.
    """
    check_outputs(options)
    with explained_write_errors():
        match options:
            case TuneOptions():
                tune_recognizer(options)
            case RecognizerOptions():
                train_recognizer(options)
            case DetectorOptions():
                train_detector(options)
            case LandmarkOptions():
                train_landmarks(options)
            case ExploreOptions():
                explore(options)


def train_recognizer(options: RecognizerOptions) -> None:
    """Train the recognizer, evaluate it, and write its files."""
    from facerec.training.croppers import load_cropper
    from facerec.training.distributed import rank
    from facerec.training.exploration import describe_data, draw_data
    from facerec.training.origin import Origin
    from facerec.training.plots import save_plots
    from facerec.training.recognition.dlib_network import enrol_known_people
    from facerec.training.recognition.evaluate import evaluate
    from facerec.training.recognition.fit import fit
    from facerec.training.recognition.publish import publish
    from facerec.training.session import load_crops, load_pictures, training_session
    from facerec.training.split import split_dataset

    several = options.model.backbone == "mobilenet-v3-large" and options.model.teacher == "none"
    with training_session(several_processes=several) as device:
        is_main = rank() == 0  # of several processes, only the first evaluates, prints and writes
        origin = Origin.of_this_run(device)
        cropper = load_cropper(options.data, options.model)
        pictures = load_pictures(options.data)
        splits = [
            split_dataset(pictures, min_images=options.data.min_images, seed=options.data.seed, fold=fold)
            for fold in range(options.training.folds)
        ]
        data = describe_data(pictures, splits[0])
        if is_main:
            print_table("Data", data)
            save_plots(draw_data(pictures, splits[0]), options.publishing.images)
        dataset = load_crops(pictures, options.data, cropper)
        if options.model.backbone == "dlib-resnet":
            models = enrol_known_people(dataset, splits, device=device)
        else:
            models = [fit(dataset, split, options, fold=fold, device=device) for fold, split in enumerate(splits)]
    if is_main:
        evaluations = [
            evaluate(
                model,
                dataset,
                pictures,
                split,
                cropper=cropper.cropper,
                false_accept_rate=options.publishing.false_accept_rate,
            )
            for model, split in zip(models, splits, strict=True)
        ]
        metrics = publish(models, evaluations, dataset, splits[0], options, cropper=cropper, data=data, origin=origin)
        print_table("Test", metrics)
        print(f"Model, report and card are in {options.publishing.output}/, plots in {options.publishing.images}/.")


def tune_recognizer(options: TuneOptions) -> None:
    """Search hyper-parameters, and write the table of their validation accuracies."""
    from facerec.training.croppers import load_cropper
    from facerec.training.recognition.tune import save_trials, tune
    from facerec.training.session import load_crops, load_pictures, training_session
    from facerec.training.split import split_dataset

    with training_session() as device:
        pictures = load_pictures(options.data)
        split = split_dataset(pictures, min_images=options.data.min_images, seed=options.data.seed, fold=0)
        dataset = load_crops(pictures, options.data, load_cropper(options.data, options.model))
        save_trials(tune(dataset, split, options, device=device), options)


def train_detector(options: DetectorOptions) -> None:
    """Train the face detector, evaluate it, and write its files."""
    from facerec.training.detection.fit import fit_detector
    from facerec.training.detection.publish import publish_detector
    from facerec.training.origin import Origin
    from facerec.training.session import load_pictures, training_session
    from facerec.training.split import split_dataset

    with training_session() as device:
        origin = Origin.of_this_run(device)
        pictures = load_pictures(options.data)
        split = split_dataset(pictures, min_images=options.data.min_images, seed=options.data.seed, fold=0)
        network = fit_detector(pictures, split.background, options, device=device)
        print_table("Face detector", publish_detector(network, pictures, split, options, origin=origin))


def train_landmarks(options: LandmarkOptions) -> None:
    """Train the landmark network on dlib's points, evaluate it, and write its files."""
    import numpy as np

    from facerec.training.croppers import load_detector
    from facerec.training.landmarks.fit import fit_landmarks
    from facerec.training.landmarks.labels import label_faces, split_background
    from facerec.training.landmarks.publish import publish_landmarks
    from facerec.training.origin import Origin
    from facerec.training.session import load_pictures, training_session
    from facerec.training.split import split_dataset

    with training_session() as device:
        origin = Origin.of_this_run(device)
        pictures = load_pictures(options.data)
        detector = load_detector(options.data.detector)
        split = split_dataset(pictures, min_images=options.data.min_images, seed=options.data.seed, fold=0)
        for_training, for_validation = split_background(pictures, split)
        training = label_faces(pictures, for_training, detector, "Training faces")
        validation = label_faces(pictures, for_validation, detector, "Validation faces")
        test = label_faces(pictures, np.union1d(split.unknown_test, split.test), detector, "Test faces")
        network = fit_landmarks(pictures, training.steady(), options, device=device)
        metrics = publish_landmarks(
            network,
            pictures,
            options,
            detector=detector,
            training=training,
            validation=validation,
            test=test,
            origin=origin,
        )
        print_table("Landmark predictor", metrics)


def explore(options: ExploreOptions) -> None:
    """Describe the data and draw its plots."""
    from facerec.training.exploration import describe_data, draw_data
    from facerec.training.plots import save_plots
    from facerec.training.session import load_pictures, training_session
    from facerec.training.split import split_dataset

    with training_session():
        pictures = load_pictures(options.data)
        split = split_dataset(pictures, min_images=options.data.min_images, seed=options.data.seed, fold=0)
        print_table("Data", describe_data(pictures, split))
        save_plots(draw_data(pictures, split), options.images)
        print(f"The plots are in {options.images}/.")


def print_table(title: str, rows: Mapping[str, JsonValue]) -> None:
    """Print names and values under a title."""
    print(f"\n{title}")
    for name, value in rows.items():
        print(f"  {name}: {value}")
    print(flush=True)


def parse(arguments: list[str], *, program: str, description: str) -> AnyOptions:
    """The options of the command line. Without a subcommand they are those of training the recognizer.

    Args:
        arguments: without the program's name.
        program: the name, for help and error messages.
        description: of the program, for its help.

    Raises:
        SystemExit: after --help, and for options that don't exist or can't be read.
        OptionError: a value is out of its bounds.
    """
    match arguments:
        case ["explore", *rest]:
            return validated(tyro.cli(ExploreOptions, args=rest, prog=f"{program} explore", config=CLI_STYLE))
        case ["tune", *rest]:
            return validated(tyro.cli(TuneOptions, args=rest, prog=f"{program} tune", config=CLI_STYLE))
        case ["detector", *rest]:
            return validated(tyro.cli(DetectorOptions, args=rest, prog=f"{program} detector", config=CLI_STYLE))
        case ["landmarks", *rest]:
            return validated(tyro.cli(LandmarkOptions, args=rest, prog=f"{program} landmarks", config=CLI_STYLE))
        case _:
            options = _parse_recognizer(arguments, program, description, default=RecognizerOptions())
            if options.model.teacher == "none":
                options = _parse_recognizer(arguments, program, description, default=WITHOUT_TEACHER_DEFAULTS)
            return validated(options)


def _parse_recognizer(
    arguments: list[str], program: str, description: str, *, default: RecognizerOptions
) -> RecognizerOptions:
    """The options of training the recognizer, with the values of `default` where `arguments` don't give another."""
    return tyro.cli(
        RecognizerOptions, args=arguments, prog=program, description=description, default=default, config=CLI_STYLE
    )
