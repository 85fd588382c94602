"""The options of train.py and its subcommands, with their bounds and defaults. The command line is derived from them.

Options are grouped: each group is a heading in `--help`, while the names of the options stay flat (`--min-images`).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import AfterValidator, Field, JsonValue, TypeAdapter, ValidationError

from facerec.inference.cropping import CropMode
from facerec.inference.model_file import DETECTOR_FILE, LANDMARKS_FILE, Backbone, Fraction, shipped_models
from facerec.training.errors import OptionError
from facerec.training.safe_text import printable

OUTSIDE_RECIPE = "outside the recipe"
"""Marks an option that says where files are or what to do. All other options decide what the trained model becomes."""
ANY_BACKBONE = "any backbone"
"""Marks an option that also applies to dlib-resnet, which is not trained. The options of the data all do."""
PRETRAINING = "pretraining"
"""Marks an option that decides the result of pretraining."""
WITH_TEACHER = "with a teacher"
"""Marks an option that applies only where there is a teacher."""
WITHOUT_TEACHER = "without a teacher"
"""Marks an option that applies only where there is no teacher."""


def existing_part(path: Path) -> Path:
    """`path`, or the nearest of the folders above it that exists.

    Raises:
        OSError: the path can't be looked at, such as one that is too long.
    """
    return next(part for part in (path, *path.parents) if part.exists())


def _folder(path: Path) -> Path:
    try:
        there = existing_part(path)
    except OSError as error:
        raise ValueError(f"can't be used: {error.strerror}") from error
    if not there.is_dir():
        raise ValueError(f"{there} is a file: name a folder")
    return path


Folder = Annotated[Path, AfterValidator(_folder), OUTSIDE_RECIPE]
"""A folder that is made where there is none."""
Weights = Literal["imagenet", "none"] | Path
"""Start of the backbone: `imagenet` for torchvision's, `none` for random weights, or the path of a state dict."""
Background = Literal["lfw", "none"] | Path
"""Other people: `lfw` for LFW's, `none`, or the path of a folder of people or of an archive of one."""
Teacher = Literal["none", "dlib-resnet"]
"""Whose embeddings the network learns: nobody's, or those of dlib's network."""
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
"""How a bound of a number is called in a message, by its name in pydantic."""
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class DataOptions:
    """The data set and its split."""

    data: Annotated[Path | None, OUTSIDE_RECIPE] = None
    """Folder of people (NAME/*.jpg, *.heic or the like), each the most prominent one of their pictures, or a tar
    archive of such a folder. Without it, LFW is downloaded once."""
    background: Annotated[Background, OUTSIDE_RECIPE] = "lfw"
    """Other people, beside those of --data: they teach the network to tell faces apart, and choose and test the
    threshold. lfw (downloaded), none, or a folder or archive of people."""
    data_dir: Folder = Path("data")
    """Folder for downloads, extracted archives and cached crops."""
    min_images: Annotated[int, Field(ge=5)] = 20
    """People with this many pictures or more are known people. Fewer than 5 can't be split."""
    seed: Annotated[int, Field(ge=0, le=2**31), PRETRAINING] = 0
    """Seed of the split and of all randomness in training."""


@dataclass(frozen=True)
class RecognizerDataOptions(DataOptions):
    """The data set and its split."""

    crop_mode: CropMode = "detect"
    """What is cut out of a picture: `detect` takes the face that the detector finds, as the service does; `centre`
    takes the centre, where the face should fill about 45 % of the shorter side, as in LFW."""
    detector: Path = shipped_models() / DETECTOR_FILE
    """The face detector's file, for the crop mode `detect`."""
    landmarks: Path = shipped_models() / LANDMARKS_FILE
    """The landmark predictor's file, which finds the five points by which faces are aligned."""


@dataclass(frozen=True)
class DetectorDataOptions(DataOptions):
    """The data set and its split."""

    crop_mode: CropMode = "detect"
    """Set this to `centre` for data other than LFW, to say that each picture has an upright face in its middle."""


@dataclass(frozen=True)
class LandmarkDataOptions(DataOptions):
    """The data set and its split."""

    detector: Path = shipped_models() / DETECTOR_FILE
    """The face detector's file: points are learned in the faces that it finds."""


@dataclass(frozen=True)
class RecognizerModelOptions:
    """The network."""

    weights: Annotated[Weights, PRETRAINING] = "none"
    """Start of the backbone: none (random), imagenet (torchvision's, downloaded), or the path of a state dict. Random
    weights are pretrained in all blocks. --teacher none starts from imagenet, unless told otherwise."""
    backbone: Annotated[Backbone, ANY_BACKBONE] = "mobilenet-v3-large"
    """dlib-resnet takes dlib's network as it is, which has learned the faces of other people: nothing is trained, a
    known person is the mean of the embeddings of their training images."""
    teacher: Annotated[Teacher, PRETRAINING] = "dlib-resnet"
    """dlib-resnet teaches the network the embeddings of dlib's network, of aligned faces: first those of background
    people, then those of known people with their names. Such embeddings carry to people whom the network never saw. A
    known person is the mean of the embeddings of their training images. none teaches the names alone, for 12 epochs of
    batches of 64, with a learning rate of 0.001 and twice that for the backbone, unless told otherwise."""
    align: Annotated[bool, WITHOUT_TEACHER] = False
    """Align the faces by five points, as dlib-resnet and its students always do, where there is no teacher."""
    embedding_size: Annotated[Literal[128, 256, 512], WITHOUT_TEACHER] = 256
    """Length of the embeddings, where there is no teacher: dlib-resnet's have 128 numbers."""
    unfrozen_blocks: Annotated[int, Field(ge=0, le=17), PRETRAINING] = 13
    """How many of the backbone's 17 blocks are trained, counted from its end; 0 trains the head alone. Training the
    first four, which detect edges and spots, takes a third of the time and gains nothing."""


@dataclass(frozen=True)
class TrainingOptions:
    """The optimization."""

    learning_rate: PositiveFloat = 3e-3
    """AdamW's learning rate, after a warm-up and before a cosine decay to zero."""
    weight_decay: Annotated[NonNegativeFloat, PRETRAINING] = 0.05
    """AdamW's weight decay, on matrices and convolutions only."""
    checkpoints: Folder = Path("checkpoints")
    """Folder for the state of unfinished runs: fold-N/, detector/, landmarks/, and tuning.db of the search."""
    resume: Annotated[bool, OUTSIDE_RECIPE] = False
    """Go on with a run that was stopped, from its last checkpoint."""


@dataclass(frozen=True)
class RecognizerTrainingOptions(TrainingOptions):
    """The optimization."""

    learning_rate: PositiveFloat = 5e-4
    """AdamW's learning rate of the head, after a warm-up and before a cosine decay to zero."""
    pretraining_learning_rate: Annotated[PositiveFloat, WITH_TEACHER, PRETRAINING] = 2e-3
    """AdamW's learning rate in pretraining, of the head, after a warm-up and before a cosine decay to zero."""
    pretraining_epochs: Annotated[int, Field(ge=1, le=10_000), WITH_TEACHER, PRETRAINING] = 72
    """Number of epochs before the others, in which the teacher teaches alone. Each draws every image of background
    people. What they give is kept in CHECKPOINTS/pretraining/, and serves all runs with the same background people."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Number of epochs. Each draws as many images of known people as there are to train on, and as many of background
    people."""
    min_epoch_images: PositiveInt = 2000
    """Images of known people that an epoch draws where there are fewer, but each at most ten times."""
    batch_size: Annotated[int, Field(ge=2), PRETRAINING] = 32
    """Images per step, half of them of known people."""
    backbone_rate: Annotated[NonNegativeFloat, PRETRAINING] = 1.0
    """The backbone's learning rate, as a multiple of the head's."""
    margin: Fraction = 0.35
    """CosFace's margin, in cosine."""
    scale: Annotated[float, Field(ge=1)] = 32.0
    """CosFace's scale: the inverse temperature of the training softmax."""
    balance: Fraction = 0.5
    """How known people are drawn: 0 draws each image equally often, 1 draws each person equally often."""
    folds: Annotated[Literal[1, 2, 3, 4, 5], OUTSIDE_RECIPE, ANY_BACKBONE] = 1
    """How many networks to train, each tested on another fifth of each known person's images. The first is exported."""


@dataclass(frozen=True)
class DetectorTrainingOptions(TrainingOptions):
    """The optimization."""

    steps: PositiveInt = 8000
    """Steps of 16 synthetic scenes."""


@dataclass(frozen=True)
class LandmarkTrainingOptions(TrainingOptions):
    """The optimization."""

    steps: PositiveInt = 15_000
    """Steps of 64 faces."""


@dataclass(frozen=True)
class PublishingOptions:
    """The files that are written."""

    output: Annotated[Folder, ANY_BACKBONE] = Path("model")
    """Folder for the ONNX model, its checksum, the report and the model card, or for the table of the search."""


@dataclass(frozen=True)
class RecognizerPublishingOptions(PublishingOptions):
    """The files that are written."""

    images: Annotated[Folder, ANY_BACKBONE] = Path("images")
    """Folder for the plots."""
    weights_licence: str = "unknown"
    """Licence of the file that --weights names, for the model card: the trained model carries it."""
    false_accept_rate: Annotated[Fraction, ANY_BACKBONE] = 0.01
    """Fraction of the unknown people that the threshold may accept as a known person."""


@dataclass(frozen=True)
class RecognizerOptions:
    """Train, evaluate, calibrate and export a network that recognizes known people."""

    data: RecognizerDataOptions = field(default_factory=RecognizerDataOptions)
    model: RecognizerModelOptions = field(default_factory=RecognizerModelOptions)
    training: RecognizerTrainingOptions = field(default_factory=RecognizerTrainingOptions)
    publishing: RecognizerPublishingOptions = field(default_factory=RecognizerPublishingOptions)

    def training_recipe(self) -> dict[str, JsonValue]:
        """The options that decide the weights."""
        return recipe(self.data, self.model, self.training)

    def recipe(self) -> dict[str, JsonValue]:
        """The options that decide the exported model."""
        marked = ANY_BACKBONE if self.model.backbone == "dlib-resnet" else None
        return recipe(self.data) | recipe(self.model, self.training, self.publishing, marked=marked)


WITHOUT_TEACHER_DEFAULTS = RecognizerOptions(
    model=RecognizerModelOptions(teacher="none", weights="imagenet"),
    training=RecognizerTrainingOptions(learning_rate=1e-3, epochs=12, batch_size=64, backbone_rate=2),
)
"""The defaults of training on the names alone."""


@dataclass(frozen=True)
class TuneOptions(RecognizerOptions):
    """Search the embedding size, the number of unfrozen blocks and the learning rate by validation accuracy.

    It trains on the names alone. The search decides these three options itself, and does not use --resume, --folds,
    --false-accept-rate and --weights-licence: the same command goes on with a search that was stopped.
    """

    model: RecognizerModelOptions = WITHOUT_TEACHER_DEFAULTS.model
    training: RecognizerTrainingOptions = WITHOUT_TEACHER_DEFAULTS.training
    tuning_storage: str | None = None
    """Database of the search: an SQLAlchemy URL that several machines may share, by default CHECKPOINTS/tuning.db."""


@dataclass(frozen=True)
class DetectorOptions:
    """Train, evaluate and export the network that finds the faces in a photo."""

    data: DetectorDataOptions = field(default_factory=DetectorDataOptions)
    training: DetectorTrainingOptions = field(default_factory=DetectorTrainingOptions)
    publishing: PublishingOptions = field(default_factory=PublishingOptions)

    def recipe(self) -> dict[str, JsonValue]:
        """The options that decide the exported model."""
        return recipe(self.data, self.training)


@dataclass(frozen=True)
class LandmarkOptions:
    """Train, evaluate and export the network that finds five points of a face, by which faces are aligned."""

    data: LandmarkDataOptions = field(default_factory=LandmarkDataOptions)
    training: LandmarkTrainingOptions = field(default_factory=LandmarkTrainingOptions)
    publishing: PublishingOptions = field(default_factory=PublishingOptions)

    def recipe(self) -> dict[str, JsonValue]:
        """The options that decide the exported model."""
        return recipe(self.data, self.training)


@dataclass(frozen=True)
class ExploreOptions:
    """Describe the data set and draw its plots, without training."""

    data: DataOptions = field(default_factory=DataOptions)
    images: Folder = Path("data/plots")
    """Folder for the plots."""


AnyOptions = RecognizerOptions | TuneOptions | DetectorOptions | LandmarkOptions | ExploreOptions
"""The options of one of the commands."""
Options = TypeVar("Options", bound=AnyOptions)


def validated(options: Options) -> Options:
    """The same options, after checking every value against the bounds of its field.

    Raises:
        OptionError: a value is out of its bounds, a file is in the place of a folder, or an option of training is given
            for a backbone that is not trained. The message names the option.
    """
    try:
        checked = TypeAdapter(type(options)).validate_python(asdict(options))
    except ValidationError as error:
        raise OptionError(_describe(error)) from None
    if isinstance(checked, RecognizerOptions) and checked.model.backbone == "dlib-resnet":
        _refuse_training(checked)
    elif isinstance(checked, RecognizerOptions):
        _refuse_unused(checked)
    return checked


def _describe(error: ValidationError) -> str:
    """A sentence on the first wrong option."""
    first = error.errors()[0]
    option, given, context = option_name(str(first["loc"][-1])), first["input"], first.get("ctx", {})
    for bound, words in BOUNDS.items():
        if bound in context:
            return f"{option} must be {words} {context[bound]}, and is {given}."
    return f"{option} is {given}: {first['msg'].removeprefix('Value error, ')}."


def _refuse_training(options: RecognizerOptions) -> None:
    """Refuse the search, and all options but those that apply to every backbone, where they are not at their defaults.

    Raises:
        OptionError: the command is the search, or such an option is given.
    """
    given = _given(options, lambda marks: ANY_BACKBONE not in marks)
    if isinstance(options, TuneOptions):
        given.insert(0, "tune")
    if given:
        raise OptionError(f"{given[0]} does not apply to --backbone dlib-resnet, which is not trained.")


def _refuse_unused(options: RecognizerOptions) -> None:
    """Refuse what a teacher decides where there is one, and what belongs to a teacher where there is none.

    Raises:
        OptionError: such an option is not at its default, the command is the search, or a licence is given for
            weights that are not in a file.
    """
    teacher = options.model.teacher
    taught = teacher != "none"
    unused = WITHOUT_TEACHER if taught else WITH_TEACHER
    given = _given(options, lambda marks: unused in marks)
    if taught and isinstance(options, TuneOptions):
        given.insert(0, "tune")
    if given:
        advice = "add --teacher none, or leave it out" if taught else "leave it out"
        raise OptionError(f"{given[0]} does not apply with --teacher {teacher}: {advice}.")
    if not isinstance(options.model.weights, Path) and options.publishing.weights_licence != "unknown":
        raise OptionError("--weights-licence is that of a file: name the file with --weights, or leave it out.")


def _given(options: RecognizerOptions, chosen: Callable[[tuple[Any, ...]], bool]) -> list[str]:
    """The options of model, training and publishing whose marks are `chosen` and which are not at their defaults."""
    return [
        option_name(each.name)
        for group in (options.model, options.training, options.publishing)
        for each in fields(group)
        if chosen(_marks(group, each.name)) and getattr(group, each.name) != each.default
    ]


def changed(options: Options, **values: Any) -> Options:
    """The same options with other values, by their flat names.

    Raises:
        TypeError: an option does not exist.
    """
    groups: dict[str, Any] = {name: group for name, group in vars(options).items() if is_dataclass(group)}
    for name, group in groups.items():
        own = {each.name for each in fields(group)} & values.keys()
        groups[name] = replace(group, **{each: values.pop(each) for each in own})
    return replace(options, **groups, **values)


def recipe(*groups: Any, marked: str | None = None) -> dict[str, JsonValue]:
    """The options of `groups` that are part of the recipe, as plain values by name. A path is reduced to its name.

    Args:
        groups: dataclasses of options.
        marked: takes only the options with this mark.
    """
    values: dict[str, JsonValue] = {}
    for group in groups:
        for each in fields(group):
            marks = _marks(group, each.name)
            if OUTSIDE_RECIPE not in marks and (marked is None or marked in marks):
                value = getattr(group, each.name)
                values[each.name] = printable(value.name) if isinstance(value, Path) else value
    return values


def _marks(group: Any, name: str) -> tuple[Any, ...]:
    """What the type of an option is annotated with."""
    return getattr(get_type_hints(type(group), include_extras=True)[name], "__metadata__", ())


def option_name(name: str) -> str:
    """The option of the command line for a field's name."""
    return f"--{name.replace('_', '-')}"
