import dataclasses
import string

import numpy as np
import pytest
import torch
from torch.nn import functional

from facerec.training.dataset import FaceDataset
from facerec.training.dlib_resnet import CHIP_SIZE, RESNET_FILE, find_dlib_file, read_dlib_resnet
from facerec.training.recognition.dlib_network import DlibNetwork, enrol_known_people
from facerec.training.split import split_dataset
from tests.drawn_people import draw_person
from tests.training.blank_dataset import blank_dataset

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def chips() -> FaceDataset:
    """Five chips of each of two drawn people, and one each of twenty others."""
    counts = [5, 5] + [1] * 20
    drawn = [draw_person(person, number) for person, count in enumerate(counts) for number in range(count)]
    crops = np.stack([np.asarray(picture.resize((CHIP_SIZE, CHIP_SIZE))) for picture in drawn])
    return dataclasses.replace(blank_dataset(dict(zip(string.ascii_uppercase, counts, strict=False))), crops=crops)


def test_weights_are_numbers_that_float16_holds() -> None:
    for name, parameter in DlibNetwork().named_parameters():
        assert torch.equal(parameter, parameter.half().float()), name
        assert not parameter.requires_grad


def test_embeddings_are_those_of_dlibs_network_on_the_unit_sphere(chips: FaceDataset) -> None:
    pixels = torch.from_numpy(chips.crops[:6])
    embeddings = DlibNetwork().eval().embed_crops(pixels)
    exact = functional.normalize(read_dlib_resnet(find_dlib_file(RESNET_FILE))(pixels.permute(0, 3, 1, 2)))
    assert embeddings.shape == (6, 128)
    assert torch.allclose(embeddings, exact, atol=2e-3)
    assert embeddings.norm(dim=1).tolist() == pytest.approx([1] * 6)


def test_a_known_person_is_the_template_of_training_images_and_their_mirror_images(chips: FaceDataset) -> None:
    split = split_dataset(chips, min_images=5, seed=0, fold=0)
    (model,) = enrol_known_people(chips, [split], device=CPU)
    assert model.history == []
    network = DlibNetwork().eval()
    for person in range(2):
        crops = [chips.crops[image] for image in split.train if split.labels[image] == person]
        both = np.stack([*crops, *(crop[:, ::-1] for crop in crops)])
        mean = network.embed_crops(torch.from_numpy(both)).numpy().mean(axis=0)
        assert model.directions[person].numpy() == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    similarities = model.similarities(split.test)
    expected = network.embed_crops(torch.from_numpy(chips.crops[split.test])) @ model.directions.T
    assert torch.allclose(similarities, expected, atol=1e-5)


def test_folds_share_the_network_and_its_embeddings(chips: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[int] = []
    real = DlibNetwork.embed_crops

    def counting(self: DlibNetwork, crops: torch.Tensor) -> torch.Tensor:
        embedded.append(len(crops))
        return real(self, crops)

    monkeypatch.setattr(DlibNetwork, "embed_crops", counting)
    splits = [split_dataset(chips, min_images=5, seed=0, fold=fold) for fold in range(2)]
    first, second = enrol_known_people(chips, splits, device=CPU)
    assert first.network is second.network
    assert first.embeddings is second.embeddings
    assert not torch.equal(first.directions, second.directions)
    assert sum(embedded) == 2 * len({*splits[0].train, *splits[1].train}), "each picture and mirror image once"
