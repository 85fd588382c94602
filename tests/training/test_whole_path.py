"""The path of a newcomer: train.py on a folder of people, predict.py on what it exported, test.py on the service."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import train
from facerec.inference.model_file import checksum_path
from facerec.inference.recognizer import FaceRecognizer
from facerec.training.croppers import load_cropper
from facerec.training.dataset import load_dataset
from facerec.training.errors import CheckpointError, DataError
from facerec.training.options import WITHOUT_TEACHER_DEFAULTS, RecognizerOptions, TuneOptions, changed
from facerec.training.outputs import written_files
from facerec.training.session import load_crops
from tests.drawn_people import draw_people, draw_person
from tests.harness import ROOT, free_port, process, ready, wait_until
from tests.hostile_server import HostileServer
from tests.shipped import DETECTOR
from tests.toy_backbone import use_toy_backbone
from tests.toy_model import write_toy_detector


def keeping_all_in(folder: Path, options: RecognizerOptions, **changes: Any) -> RecognizerOptions:
    """The same options with `changes`, whose run writes to `folder` alone."""
    kept = {name: folder / name for name in ("output", "images", "checkpoints")}
    return changed(options, **(kept | changes))


@pytest.fixture(scope="module")
def run(small_options: RecognizerOptions, tmp_path_factory: pytest.TempPathFactory) -> RecognizerOptions:
    """The options of a run of train.py on the drawn people, once it is over."""
    options = keeping_all_in(tmp_path_factory.mktemp("run"), small_options)
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_toy_backbone(monkeypatch)
        train.main(options)
    return options


@contextlib.contextmanager
def service(model: Path) -> Iterator[str]:
    """predict.py serving `model`; gives its address."""
    port = free_port()
    command = [sys.executable, "predict.py"]
    with process(command, {"FACEREC_MODEL": str(model), "FACEREC_HOST": "127.0.0.1", "PORT": str(port)}) as running:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: ready(address) or running.poll() is not None, seconds=60)
        assert running.poll() is None, running.communicate()[0]
        yield address


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the project's programs as a user does."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def test_training_leaves_model_report_card_and_plots(run: RecognizerOptions) -> None:
    left = {path.name for path in run.publishing.output.iterdir()}
    assert left == {
        "face_recognition.onnx",
        "face_recognition.onnx.sha256",
        "face_recognition.json",
        "face_recognition.md",
    }
    report = json.loads((run.publishing.output / "face_recognition.json").read_text())
    assert report["metrics"]["top_1"]["total"] == sum(person["test_images"] for person in report["metadata"]["people"])
    assert report["parity"]["equal"] == report["parity"]["compared"] == report["metrics"]["top_1"]["total"]
    assert len(report["mistakes"]) == report["metrics"]["top_1"]["total"] - report["metrics"]["top_1"]["count"]
    card = (run.publishing.output / "face_recognition.md").read_text()
    for person in report["metadata"]["people"]:
        assert f"| {person['name']} | {person['training_images']} | {person['test_images']} |" in card
    plots = sorted(run.publishing.images.glob("*.png"))
    assert sorted([*run.publishing.output.iterdir(), *plots]) == sorted(written_files(run))
    for plot in plots:
        with Image.open(plot) as picture:
            assert min(picture.size) > 150


@pytest.mark.usefixtures("toy_backbone")
def test_training_is_shown_the_faces_that_the_detector_finds(small_options: RecognizerOptions, tmp_path: Path) -> None:
    for person, place in (("Ann", (0, 0, 64, 64)), ("Bob", (320, 192, 384, 256))):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in range(5):
            picture = draw_person(number, number).resize((384, 256))
            picture.paste((255, 0, 255), place)
            picture.save(tmp_path / "people" / person / f"{number}.png")
    write_toy_detector(tmp_path / "toy.onnx")
    options = keeping_all_in(
        tmp_path,
        small_options,
        data=tmp_path / "people",
        background=draw_people(tmp_path / "others", [1] * 20),
        data_dir=tmp_path / "data",
        crop_mode="detect",
        detector=tmp_path / "toy.onnx",
        epochs=1,
    )
    train.main(options)
    report = json.loads((tmp_path / "output" / "face_recognition.json").read_text())
    assert report["metadata"]["configuration"]["detector"] == "toy.onnx"
    assert report["data"]["crops"].startswith("the most prominent face that toy.onnx finds in each picture; the centre")
    assert "of 20 pictures" in report["data"]["crops"]

    with pytest.raises(CheckpointError, match="crop-mode"):
        train.main(changed(options, crop_mode="centre", resume=True))


@pytest.fixture(scope="module")
def accurate_run(
    detector: Path, landmarks: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RecognizerOptions, Path]:
    """The options of a run of train.py --backbone dlib-resnet, once it is over, and its folder of people."""
    folder = tmp_path_factory.mktemp("accurate")
    people = draw_people(folder / "people", [21, 20, 12, 11, 10, 2] + [1] * 20)
    for path in people.glob("Person_00/*.jpg"):
        with Image.open(path) as picture:
            picture.paste((255, 0, 255), (96, 96, 128, 128))  # a face for the toy detector
            picture.save(path, quality=95)
    arguments = {
        "data": people, "background": "none", "data-dir": folder / "data", "detector": detector, "landmarks": landmarks,
        "output": folder / "model", "images": folder / "images", "folds": 2,
    }  # fmt: skip
    options = train.parse(["--backbone=dlib-resnet", *(f"--{name}={value}" for name, value in arguments.items())])
    assert isinstance(options, RecognizerOptions)
    train.main(options)
    return options, people


def test_dlibs_network_leaves_the_same_files_by_another_name(accurate_run: tuple[RecognizerOptions, Path]) -> None:
    options, _ = accurate_run
    name = "face_recognition_accurate"
    left = {path.name for path in options.publishing.output.iterdir()}
    assert left == {f"{name}.onnx", f"{name}.onnx.sha256", f"{name}.json", f"{name}.md"}
    assert options.publishing.output.joinpath(f"{name}.onnx").stat().st_size < 12e6, "weights are stored in float16"
    assert {path.name for path in (options.publishing.images / "accurate").iterdir()} == {
        f"{plot}.png" for plot in ("confusion", "recall", "reliability", "similarities", "open_set")
    }
    plots = options.publishing.images.rglob("*.png")
    assert sorted([*options.publishing.output.iterdir(), *plots]) == sorted(written_files(options))
    report = json.loads((options.publishing.output / f"{name}.json").read_text())
    assert report["metadata"]["configuration"] == options.recipe()
    assert report["metadata"]["alignment"]["crop_size"] == 150
    assert report["history"] == []
    assert len(report["folds"]) == 2
    assert len(report["conditions"]) == 9
    assert [row["enrolled_images"] for row in report["metrics"]["new_people"]] == [1, 3, 5, 9]
    assert report["data"]["new people, never trained on"] == "2 with 22 images"
    assert report["data"]["crops"].startswith("the most prominent face that toy_detector.onnx finds")
    assert "aligned by the five points that toy_landmarks.onnx finds" in report["data"]["crops"]


def test_the_exported_file_recognizes_the_people_of_dlibs_run(accurate_run: tuple[RecognizerOptions, Path]) -> None:
    options, people = accurate_run
    recognizer = FaceRecognizer.load(options.publishing.output / "face_recognition_accurate.onnx", threads=1)
    cropper = load_cropper(options.data, options.model)
    for column, person in enumerate(recognizer.metadata.people):
        with Image.open(people / person.name / "0000.jpg") as picture:
            answer = recognizer.recognize(cropper.crop(picture).crop[None])
        assert answer.probabilities[0].argmax() == column


def test_pictures_that_go_while_they_are_read(small_options: RecognizerOptions, tmp_path: Path) -> None:
    options = changed(
        small_options,
        data=draw_people(tmp_path / "people", [5, 5]),
        data_dir=tmp_path / "data",
        crop_mode="detect",
        detector=DETECTOR,
    )
    dataset = load_dataset(options.data.data, data_dir=options.data.data_dir)
    (tmp_path / "people" / "Person_00" / "0000.jpg").unlink()
    with pytest.raises(DataError, match="came or went"):
        load_crops(dataset, options.data, load_cropper(options.data, options.model))


@pytest.mark.slow
@pytest.mark.usefixtures("toy_backbone")
def test_two_people_with_five_pictures_each_are_enough(small_options: RecognizerOptions, tmp_path: Path) -> None:
    options = keeping_all_in(
        tmp_path,
        small_options,
        data=draw_people(tmp_path / "people", [5, 5]),
        background=draw_people(tmp_path / "others", [0, 0] + [1] * 20),
        data_dir=tmp_path / "data",
        epochs=1,
        folds=2,
    )
    train.main(options)
    report = json.loads((tmp_path / "output" / "face_recognition.json").read_text())
    assert [fold["top_1"]["total"] for fold in report["folds"]] == [2, 2]
    card = (tmp_path / "output" / "face_recognition.md").read_text()
    assert "people with a single picture: 10 images choose the threshold, 10 test it" in card
    assert "2 networks were trained in the same way" in card
    assert "Labeled Faces in the Wild" not in card

    train.main(changed(options, folds=3, resume=True))
    resumed = json.loads((tmp_path / "output" / "face_recognition.json").read_text())
    assert len(resumed["folds"]) == len(resumed["training_seconds"]) == 3
    assert resumed["training_seconds"][:2] == report["training_seconds"]


def test_the_service_answers_test_py(run: RecognizerOptions, drawn_people: Path) -> None:
    picture = next(drawn_people.glob("*/*.jpg"))
    with service(run.publishing.output / "face_recognition.onnx") as address:
        for arguments in (tuple[str, ...](), ("--file", str(picture), "--framing", "centre")):
            result = command("test.py", "--service", address, *arguments)
            assert result.returncode == 0, result.stdout + result.stderr
            assert "recognized" in result.stdout
        refused = command("test.py", "--service", address, "--url", "http://127.0.0.1/a.jpg")
        assert refused.returncode == 1
        assert refused.stderr.startswith("test.py: the service answered with 400")
        assert len(refused.stderr.splitlines()) == 1
        assert command("test.py", "--service", address, "--file", "missing.jpg").returncode == 1


def test_test_py_without_a_service_says_so_in_one_line() -> None:
    result = command("test.py", "--service", "http://127.0.0.1:9")
    assert result.returncode == 1
    start = "`uv run --no-default-groups predict.py` starts one here"
    assert result.stderr == f"test.py: no service at http://127.0.0.1:9: {start}\n"


@pytest.mark.parametrize("key", ["key\n", "ключ"])
def test_test_py_says_that_a_key_can_not_be_sent(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", key)
    result = command("test.py", "--service", "http://127.0.0.1:9")
    assert (result.returncode, result.stderr) == (
        1,
        "test.py: API_KEY can't be sent: a header takes one line of ASCII characters\n",
    )


def test_test_py_says_that_an_address_is_none() -> None:
    result = command("test.py", "--service", "http://")
    assert result.returncode == 1
    assert result.stderr.startswith("test.py: --service http:// can't be asked: ")


FACE = {
    "identity": None, "similarity": 0.1, "threshold": 0.4, "top_class": "Ada", "top_score": 0.6,
    "predictions": {"Ada": 0.6, "Bea": 0.4}, "landmarks": [[1.5, 2], [3, 4], [5, 6], [7, 8], [9, 10]],
    "box": [1, 2, 3, 4], "angle": 5, "score": 0.9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (FACE | {"faces": [FACE]}, None),
        ([FACE], "no JSON object: is this the service?"),
        (FACE, "it has no list of faces"),
        (FACE | {"faces": [FACE | {"box": [-5, 2, 3, 4]}]}, "[-5, 2, 3, 4] is no box of a face"),
        (FACE | {"faces": [FACE | {"box": ["1", 2, 3, 4]}]}, "['1', 2, 3, 4] is no box of a face"),
        (FACE | {"faces": [FACE | {"angle": 9999}]}, "9999 is no angle"),
        (FACE | {"faces": [FACE | {"score": 9}]}, "9 is no score"),
        (FACE | {"faces": [], "landmarks": None}, None),
        (FACE | {"faces": [], "landmarks": [[1, 2]] * 4}, "[[1, 2], [1, 2], [1, 2], [1, 2]] are no five points"),
        (FACE | {"faces": [FACE | {"similarity": 0.2}]}, "its top-level fields differ from those of faces[0]"),
        (FACE | {"faces": [], "identity": "Ada"}, "identity contradicts the threshold"),
        (FACE | {"faces": [], "predictions": {"Ada": 0.6, "Bea": 0.5}}, "probabilities sum to 1.1"),
        (FACE | {"faces": [], "predictions": {"Ada": 0.6, "Bea": "0.4"}}, "a probability is no number"),
        (FACE | {"faces": [], "similarity": None}, "the similarity is no number"),
    ],
)
def test_test_py_finds_what_is_wrong_with_an_answer(answer: object, wrong: str | None) -> None:
    body = json.dumps(answer).encode()
    with HostileServer({"/predict": lambda connection: connection.respond(body)}) as server:
        result = command("test.py", "--service", f"http://127.0.0.1:{server.port}")
    assert result.returncode == (1 if wrong else 0), result.stderr
    assert (wrong or "") in result.stderr
    assert len(result.stderr.splitlines()) == (1 if wrong else 0)


def test_predict_py_refuses_an_altered_model(run: RecognizerOptions, tmp_path: Path) -> None:
    model = tmp_path / "face_recognition.onnx"
    original = run.publishing.output / "face_recognition.onnx"
    model.write_bytes(original.read_bytes()[:-1] + b"\0")
    checksum_path(model).write_bytes(checksum_path(original).read_bytes())
    with pytest.raises(AssertionError, match="truncated or altered"), service(model):
        pass


def test_predict_py_never_imports_torch() -> None:
    code = "import sys, predict; sys.exit(any(name in sys.modules for name in ('torch', 'onnx', 'pandas')))"
    assert command("-c", code).returncode == 0


def test_train_py_says_what_is_wrong_in_one_line() -> None:
    result = command("train.py", "--min-images", "4")
    assert result.returncode == 1
    assert result.stderr == "train.py: --min-images must be at least 5, and is 4.\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("missing", "missing doesn't exist: --data and --background name a folder of people or an archive of one."),
        ("docs", "no pictures in docs"),
    ],
)
def test_data_that_can_not_be_used_says_so_in_one_line(
    data: str, message: str, landmarks: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as info:
        train.main(train.parse(["--data", data, "--data-dir", str(tmp_path), "--landmarks", str(landmarks)]))
    assert message in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("program", ["train.py", "test.py"])
def test_an_unknown_option_fails(program: str) -> None:
    result = command(program, "--no-such-option", "1")
    assert result.returncode == 2
    assert "--no-such-option" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["explore"], ["tune"], ["detector"]])
def test_train_py_answers_help_without_importing_torch(arguments: list[str]) -> None:
    code = (
        "import runpy, sys; sys.argv = ['train.py', *sys.argv[1:], '--help']\n"
        "try: runpy.run_path('train.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib', 'onnx')))"
    )
    result = command("-c", code, *arguments)
    assert result.returncode == 0, result.stderr
    assert "--min-images" in result.stdout


def test_training_on_the_names_alone_has_defaults_of_its_own() -> None:
    assert train.parse(["--teacher", "none"]) == WITHOUT_TEACHER_DEFAULTS
    epochs = RecognizerOptions().training.epochs
    assert train.parse(["--teacher=none", f"--epochs={epochs}"]) == changed(WITHOUT_TEACHER_DEFAULTS, epochs=epochs)


def test_options_of_a_subcommand_are_its_own() -> None:
    assert train.parse([]) == RecognizerOptions()
    assert train.parse(["tune", "--epochs", "3"]) == changed(TuneOptions(), epochs=3)
    assert train.parse(["detector", "--steps", "5"]).training.steps == 5  # type: ignore[union-attr]
    with pytest.raises(SystemExit):
        train.parse(["explore", "--epochs", "3"])
