import numpy as np
import pytest
import torch

from facerec.inference.alignment import crop_aligned
from facerec.training.dlib_resnet import CHIP_SIZE, REFERENCE_POINTS
from facerec.training.recognition.student import (
    CROP_SIZE,
    EMBEDDING_SIZE,
    VIEW_SIZE,
    StudentNetwork,
    student_alignment,
    teacher_chips,
)
from tests.harness import photo


@pytest.mark.usefixtures("toy_backbone")
def test_embeddings_are_on_the_unit_sphere_around_the_teachers_mean() -> None:
    torch.manual_seed(0)
    network = StudentNetwork(classes=3).eval()
    network.teacher_mean.copy_(torch.arange(EMBEDDING_SIZE))
    crops = torch.randint(0, 256, (4, CROP_SIZE, CROP_SIZE, 3), dtype=torch.uint8)
    embeddings = network.embed_crops(crops)
    assert embeddings.shape == (4, EMBEDDING_SIZE)
    assert embeddings.norm(dim=1).tolist() == pytest.approx([1] * 4)
    mean = network.teacher_mean / network.teacher_mean.norm()
    assert (embeddings @ mean).min() > 0.99, "before training it knows the mean and little else"


@pytest.mark.usefixtures("toy_backbone")
def test_it_sees_the_middle_of_a_crop() -> None:
    network = StudentNetwork().eval()
    crops = torch.randint(0, 256, (2, CROP_SIZE, CROP_SIZE, 3), dtype=torch.uint8)
    border = (CROP_SIZE - VIEW_SIZE) // 2
    changed = crops.clone()
    changed[:, :border] = 0
    changed[:, :, -border:] = 255
    assert torch.equal(network.embed_crops(crops), network.embed_crops(changed))
    changed[:, border + 1, border + 1] = 255 - changed[:, border + 1, border + 1]
    assert not torch.equal(network.embed_crops(crops), network.embed_crops(changed))


@pytest.mark.usefixtures("toy_backbone")
def test_without_classes_there_is_no_classifier() -> None:
    names = StudentNetwork().state_dict().keys()
    with_classes = StudentNetwork(classes=3).state_dict().keys()
    assert {name.partition(".")[0] for name in with_classes - names} == {"classifier"}


def test_the_teacher_sees_the_chip_that_it_would_be_given() -> None:
    picture = photo((150, 120, "red"), (60, 60, "lime"), size=(250, 250))
    landmarks = (REFERENCE_POINTS - CHIP_SIZE / 2) * 0.8 + (130, 120)
    chip = crop_aligned(picture, landmarks, REFERENCE_POINTS, CHIP_SIZE)
    alignment = student_alignment()
    crop = crop_aligned(picture, landmarks, np.array(alignment.points), alignment.crop_size)
    seen = teacher_chips(torch.tensor(crop).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
    difference = np.abs(seen - chip)
    assert difference.mean() < 2
    shifted = np.abs(np.roll(seen, 3, axis=1) - chip)
    assert difference.mean() < shifted.mean() / 2
