import dataclasses
import os
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerec.inference.alignment import crop_aligned
from facerec.inference.cropping import CROP_SIZE, FACE_SIZE, Crop, Face, crop_centre, crop_face
from facerec.inference.face_cropper import FaceCropper
from facerec.inference.landmark_predictor import LandmarkPredictor
from facerec.inference.model_file import Alignment
from facerec.training import crop_pictures
from facerec.training import dataset as dataset_module
from facerec.training.crop_pictures import PictureCropper
from facerec.training.croppers import load_detector, load_landmark_predictor
from facerec.training.dataset import load_dataset
from facerec.training.errors import DataError
from tests.drawn_people import draw_people
from tests.toy_model import (
    TOY_POINTS,
    toy_detector_graph,
    toy_detector_metadata,
    write_model,
    write_toy_detector,
    write_toy_landmark_predictor,
)
from tests.training.small_disk import no_file_larger_than


def test_crops_are_in_the_order_of_their_paths(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [3, 1, 2])
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert dataset.crops.shape == (6, 250, 250, 3)
    assert dataset.crops.dtype == np.uint8
    assert dataset.names == ["Person_00", "Person_01", "Person_02"]
    assert dataset.identities.tolist() == [0, 0, 0, 1, 2, 2]
    assert dataset.counts().tolist() == [3, 1, 2]
    for path, crop in zip(dataset.paths, dataset.crops, strict=True):
        with Image.open(folder / path) as picture:
            assert np.array_equal(crop_centre(picture), crop)


def test_an_archive_is_loaded_like_its_folder(tmp_path: Path) -> None:
    draw_people(tmp_path / "outer" / "inner" / "people", [2, 2])
    (tmp_path / "outer" / "inner" / "people" / "pairs.txt").write_text("not a picture")
    archive = Path(shutil.make_archive(str(tmp_path / "lfw"), "gztar", tmp_path / "outer"))
    dataset = load_dataset(archive, data_dir=tmp_path / "data")
    assert dataset.paths == ["Person_00/0000.jpg", "Person_00/0001.jpg", "Person_01/0000.jpg", "Person_01/0001.jpg"]


def test_pictures_are_decoded_again_only_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []

    def counting_crop_centre(picture: Image.Image) -> Crop:
        decoded.append(1)
        return crop_centre(picture)

    monkeypatch.setattr(crop_pictures, "crop_centre", counting_crop_centre)
    folder = draw_people(tmp_path / "people", [2, 2])
    for _ in range(2):
        load_dataset(folder, data_dir=tmp_path / "data")
    assert len(decoded) == 4
    Image.new("RGB", (250, 250), "red").save(folder / "Person_00" / "0000.jpg")
    assert load_dataset(folder, data_dir=tmp_path / "data").crops[0, 0, 0, 0] > 250
    assert len(decoded) == 8
    monkeypatch.setattr(dataset_module, "CACHE_VERSION", dataset_module.CACHE_VERSION + 1)
    load_dataset(folder, data_dir=tmp_path / "data")
    assert len(decoded) == 12


@pytest.fixture
def detecting(tmp_path: Path, predictor: LandmarkPredictor) -> PictureCropper:
    """Crops the faces that the toy detector finds: magenta squares."""
    write_toy_detector(tmp_path / "detector.onnx")
    return PictureCropper(FaceCropper(predictor, alignment=None), load_detector(tmp_path / "detector.onnx"))


def test_a_detector_crops_the_most_prominent_face(tmp_path: Path, detecting: PictureCropper) -> None:
    (tmp_path / "people" / "Ann").mkdir(parents=True)
    picture = Image.new("RGB", (256, 320), "grey")
    picture.paste((255, 0, 255), (160, 256, 192, 288))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the stored picture is 320 x 256 and has to be turned
    picture.rotate(90, expand=True).save(tmp_path / "people" / "Ann" / "turned.png", exif=exif)
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "people" / "Ann" / "without.png")

    dataset = load_dataset(tmp_path / "people", data_dir=tmp_path / "data", cropper=detecting)
    assert dataset.paths == ["Ann/turned.png", "Ann/without.png"]
    assert dataset.without_face == ["Ann/without.png"]
    assert detecting.detector
    (face,) = detecting.detector.detect(picture)
    assert np.array_equal(dataset.crops[0], crop_face(picture, face))
    assert dataset.crops[0, 125, 125].tolist() == [255, 0, 255]
    for place, middle in enumerate((face, Face(150, 100, 200 * FACE_SIZE / CROP_SIZE, angle=0, score=1))):
        points = np.array(TOY_POINTS) * middle.size + (middle.x, middle.y)
        assert dataset.landmarks[place] == pytest.approx(points, abs=0.01)
    assert (dataset.crops[1] == Image.new("RGB", (1, 1), "teal").getpixel((0, 0))).all()


def test_crops_of_centres_and_of_faces_have_separate_caches(tmp_path: Path, detecting: PictureCropper) -> None:
    folder = draw_people(tmp_path / "people", [2, 2])
    picture = Image.new("RGB", (320, 256), "grey")
    picture.paste((255, 0, 255), (32, 32, 64, 64))
    picture.save(folder / "Person_00" / "0000.png")
    centred = load_dataset(folder, data_dir=tmp_path / "data")
    cropped = load_dataset(folder, data_dir=tmp_path / "data", cropper=detecting)
    assert centred.without_face == []
    assert cropped.paths == centred.paths
    assert cropped.fingerprint != centred.fingerprint


def test_equal_crops_have_equal_fingerprints(tmp_path: Path, detecting: PictureCropper) -> None:
    """A run can be resumed after its pictures were copied, or its detector's file got new metadata."""
    folder, path = draw_people(tmp_path / "people", [2, 2]), tmp_path / "detector.onnx"
    before = load_dataset(folder, data_dir=tmp_path / "data", cropper=detecting)

    write_model(path, toy_detector_graph(), toy_detector_metadata().model_copy(update={"metrics": {"recall": 1.0}}))
    copied = Path(shutil.copytree(folder, tmp_path / "copied", copy_function=shutil.copy))
    rewritten = dataclasses.replace(detecting, detector=load_detector(path))
    after = load_dataset(copied, data_dir=tmp_path / "data", cropper=rewritten)
    assert len(list((tmp_path / "data" / "cache").glob("*.npy"))) == 2
    assert after.fingerprint == before.fingerprint

    Image.new("RGB", (250, 250)).save(copied / "Person_00" / "0001.jpg")
    changed = load_dataset(copied, data_dir=tmp_path / "data", cropper=rewritten)
    assert changed.fingerprint != before.fingerprint


def test_aligned_crops_have_their_own_size_and_cache(tmp_path: Path, predictor: LandmarkPredictor) -> None:
    folder = draw_people(tmp_path / "people", [1, 1])
    face = Face(125, 125, FACE_SIZE, angle=0, score=1)
    for side in (60, 80):
        reference = tuple((75 + side * x, 75 + side * y) for x, y in TOY_POINTS)
        cropper = PictureCropper(FaceCropper(predictor, Alignment(crop_size=150, points=reference)), detector=None)
        for _ in range(2):  # written and read
            dataset = load_dataset(folder, data_dir=tmp_path / "data", cropper=cropper)
            assert dataset.crops.shape == (2, 150, 150, 3)
            assert dataset.without_face == []
            for path, crop, landmarks in zip(dataset.paths, dataset.crops, dataset.landmarks, strict=True):
                with Image.open(folder / path) as picture:
                    points = predictor.predict(picture, face)
                    assert points is not None
                    assert landmarks == pytest.approx(points, abs=0.01)
                    assert np.array_equal(crop, crop_aligned(picture, points, np.array(reference), 150))
    assert len(list((tmp_path / "data" / "cache").glob("*.npy"))) == 2


def test_points_that_are_not_a_faces_are_nan(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [1, 1])
    write_toy_landmark_predictor(tmp_path / "crossed.onnx", TOY_POINTS[::-1])
    cropper = FaceCropper(load_landmark_predictor(tmp_path / "crossed.onnx"), alignment=None)
    dataset = load_dataset(folder, data_dir=tmp_path / "data", cropper=PictureCropper(cropper, detector=None))
    assert np.isnan(dataset.landmarks).all()
    centred = load_dataset(folder, data_dir=tmp_path / "data")
    assert np.isnan(centred.landmarks).all()
    assert np.array_equal(dataset.crops, centred.crops)


def test_damaged_pictures_are_skipped(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [3, 2])
    (folder / "Person_00" / "0001.jpg").write_bytes(b"not a picture")
    whole = (folder / "Person_01" / "0000.jpg").read_bytes()
    (folder / "Person_01" / "0000.jpg").write_bytes(whole[: len(whole) // 2])
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert list(dataset.skipped) == ["Person_00/0001.jpg", "Person_01/0000.jpg"]
    assert dataset.identities.tolist() == [0, 0, 1]
    assert len(dataset.crops) == 3


def test_a_picture_that_cannot_be_read_now_is_an_error_and_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw_people(tmp_path / "people", [3, 2])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda _: os.read(-1, 1))
        with pytest.raises(DataError, match=r"can't read .*Person_00/0000.jpg.*Bad file descriptor"):
            load_dataset(folder, data_dir=tmp_path / "data")
    assert len(load_dataset(folder, data_dir=tmp_path / "data").paths) == 5


def test_copies_are_skipped(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [2, 2])
    for copy in ("Person_00/copy.png", "Person_01/0000.png"):
        (folder / copy).write_bytes((folder / "Person_00" / "0001.jpg").read_bytes())
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert dataset.skipped == dict.fromkeys(
        ["Person_00/copy.png", "Person_01/0000.png"], "a copy of Person_00/0001.jpg"
    )
    assert dataset.identities.tolist() == [0, 0, 1, 1]


def test_hidden_files_and_folders_are_ignored(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [3, 2])
    picture = (folder / "Person_00" / "0000.jpg").read_bytes()
    (folder / "Person_00" / "folder.jpg").mkdir()
    (folder / "Person_00" / "._0000.jpg").write_bytes(picture)
    (folder / ".thumbnails").mkdir()
    (folder / ".thumbnails" / "0000.jpg").write_bytes(picture)
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert dataset.names == ["Person_00", "Person_01"]
    assert len(dataset.paths) == 5
    assert not dataset.skipped


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode on other systems")
def test_names_that_are_not_utf_8_are_escaped(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [3, 2])
    for old, new in (("Person_00", b"/M\xfcller"), ("Person_01", b"/M\xf6ller")):
        (folder / old).rename(os.fsdecode(os.fsencode(folder) + new))
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert dataset.names == [r"M\xf6ller", r"M\xfcller"]
    assert dataset.counts().tolist() == [2, 3]


def test_a_photograph_with_odd_exif_is_read_and_set_upright(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [3, 2])
    # The resolution is a text, over which Pillow stumbles when it writes EXIF.
    entries = struct.pack(">H HHIHH HHI4s I", 2, 0x0112, 3, 1, 6, 0, 0x011A, 2, 3, b"no", 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + entries
    left_red = Image.new("RGB", (250, 250), "blue")
    left_red.paste("red", (0, 0, 125, 250))
    left_red.save(folder / "Person_00" / "odd.jpg", exif=exif)
    dataset = load_dataset(folder, data_dir=tmp_path / "data")
    assert not dataset.skipped
    crop = dataset.crops[dataset.paths.index("Person_00/odd.jpg")]
    assert crop[:100, :, 0].min() > 200  # the left of the file is the top of the scene
    assert crop[150:, :, 2].min() > 200


def test_every_format_of_the_service_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "people" / "Ann").mkdir(parents=True)
    (tmp_path / "people" / "Bob").mkdir()
    Image.new("RGBA", (500, 300), (255, 0, 0, 128)).save(tmp_path / "people" / "Ann" / "a.PNG")
    Image.new("RGB", (250, 400), "blue").save(tmp_path / "people" / "Bob" / "b.webp")
    dataset = load_dataset(tmp_path / "people", data_dir=tmp_path / "data")
    assert dataset.paths == ["Ann/a.PNG", "Bob/b.webp"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "doesn't exist"),
        (lambda path: path.mkdir(), "no pictures in"),
        (lambda path: path.write_bytes(b"\x1f\x8bnothing"), "is damaged"),
    ],
)
def test_a_data_set_that_is_missing_empty_or_damaged_is_an_error(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / "people")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / "people", data_dir=tmp_path / "data")


def test_a_data_set_without_readable_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "people" / "Ann").mkdir(parents=True)
    (tmp_path / "people" / "Ann" / "1.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"no picture could be read, for example Ann/1\.jpg \("):
        load_dataset(tmp_path / "people", data_dir=tmp_path / "data")


def test_a_full_disk_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [2, 2])
    with (
        no_file_larger_than(300_000),  # the second crop does not fit
        pytest.raises(DataError, match=r"can't write the decoded pictures \(0.0 GB\)"),
    ):
        load_dataset(folder, data_dir=tmp_path / "data")
    assert not list((tmp_path / "data" / "cache").iterdir())
    assert len(load_dataset(folder, data_dir=tmp_path / "data").crops) == 4


def test_a_damaged_cache_is_an_error(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "people", [2, 2])
    load_dataset(folder, data_dir=tmp_path / "data")
    (cache,) = (tmp_path / "data" / "cache").glob("*.npy")
    cache.write_bytes(cache.read_bytes()[:1000])
    with pytest.raises(DataError, match="delete it"):
        load_dataset(folder, data_dir=tmp_path / "data")
