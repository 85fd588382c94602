import numpy as np
import pytest
import torch
from torch import Tensor

from facerec.training.backbone import denormalize
from facerec.training.recognition import views as module
from facerec.training.recognition.student import CROP_SIZE, VIEW_SIZE
from facerec.training.recognition.views import shared_views, student_inputs, training_inputs
from tests.drawn_people import draw_person


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def faces(count: int = 64, person: int = 0) -> Tensor:
    """The same drawn face, uint8 `[N, 160, 160, 3]`."""
    face = np.asarray(draw_person(person, 0).resize((CROP_SIZE, CROP_SIZE)))
    return torch.from_numpy(np.stack([face] * count))


def unchanged(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Leave out the changes of these names."""
    for name in names:
        if name.isupper():
            monkeypatch.setattr(module, name, 0.0)
        else:
            monkeypatch.setattr(module, name, lambda images, **_: images)


def test_the_same_generator_gives_the_same_views_in_the_range_of_pixels() -> None:
    first, again = (
        shared_views(faces(), faces(person=1), blend_probability=0.5, generator=generator()) for _ in range(2)
    )
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert first[0].shape == (64, 3, CROP_SIZE, CROP_SIZE)
    assert first[0].min() >= 0
    assert first[0].max() <= 255


def test_half_of_the_views_are_mirrored_and_as_many_blended_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    unchanged(monkeypatch, "recolour", "erase", "DEFORM_PROBABILITY")
    crops, others = faces(), faces(person=1)
    views, single = shared_views(crops, others, blend_probability=0.5, generator=generator())
    assert 0.3 < single.float().mean() < 0.7
    one = crops[0].permute(2, 0, 1).float()
    plain = [(views - each).abs().amax(dim=(1, 2, 3)) < 0.1 for each in (one, one.flip(2))]
    assert torch.equal(plain[0] | plain[1], single)
    for mirrored in plain:
        assert 0.25 < mirrored[single].float().mean() < 0.75


def test_a_blend_lies_between_the_two_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    unchanged(monkeypatch, "recolour", "erase", "DEFORM_PROBABILITY")
    dark, bright = (
        torch.full((64, CROP_SIZE, CROP_SIZE, 3), 50).byte(),
        torch.full((64, CROP_SIZE, CROP_SIZE, 3), 200).byte(),
    )
    blends, single = shared_views(dark, bright, blend_probability=1, generator=generator())
    assert not single.any()
    assert (blends > 49.9).all()
    assert (blends < 200.1).all()
    assert blends.mean(dim=(1, 2, 3)).std() > 20, "some are more of one face, some of the other"
    assert blends.std(dim=(1, 2, 3)).max() > 20, "parts of a blend are of one face, parts of the other"


def test_deformations_are_small_and_smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    unchanged(monkeypatch, "recolour", "erase")
    ramp = torch.arange(CROP_SIZE).view(1, 1, -1, 1).expand(64, CROP_SIZE, -1, 3).byte()
    views, _ = shared_views(ramp, ramp, blend_probability=0, generator=generator())
    views = torch.where((views[:, :, :, -1:] < views[:, :, :, :1]), views.flip(3), views)
    shifts = (views - torch.arange(CROP_SIZE))[..., 30:-30]
    assert 0.3 < (shifts.abs().amax(dim=(1, 2, 3)) > 0.1).float().mean() < 0.7
    assert 2 < shifts.abs().max() < 30
    assert shifts.diff(dim=3).abs().max() < 2


def test_inputs_are_the_view_shifted_and_turned_a_little() -> None:
    crops = torch.zeros(64, 3, CROP_SIZE, CROP_SIZE, dtype=torch.uint8)
    middle = CROP_SIZE // 2
    crops[:, :, middle - 4 : middle + 4, middle - 4 : middle + 4] = 255
    inputs = student_inputs(crops, generator=generator())
    assert inputs.shape == (64, 3, VIEW_SIZE, VIEW_SIZE)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    bright = denormalize(inputs).mean(dim=1)
    places = torch.arange(VIEW_SIZE) + 0.5 - VIEW_SIZE / 2
    x = (bright.sum(dim=1) * places).sum(dim=1) / bright.sum(dim=(1, 2))
    assert 0.5 < x.std() < 4
    assert x.abs().max() < 8


def test_plots_show_the_inputs_of_training() -> None:
    crops = torch.cat([faces(4), faces(4, person=1)])
    assert training_inputs(crops, generator=generator()).shape == (8, 3, VIEW_SIZE, VIEW_SIZE)
