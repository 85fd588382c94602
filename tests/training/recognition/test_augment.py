import pytest
import torch

from facerec.training.recognition import augment as module
from facerec.training.recognition.augment import augment
from facerec.training.recognition.network import INPUT_SIZE, preprocess


def crops() -> torch.Tensor:
    """Smooth crops, so that warps change them little by little."""
    ramp = torch.linspace(0, 255, 250)
    picture = torch.stack([ramp.expand(250, 250), ramp[:, None].expand(250, 250), 255 - ramp.expand(250, 250)], dim=2)
    return picture.round().to(torch.uint8).expand(64, 250, 250, 3)


def test_shape_range_and_memory() -> None:
    images = augment(crops(), generator=torch.Generator().manual_seed(0))
    assert images.shape == (64, 3, INPUT_SIZE, INPUT_SIZE)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.isfinite().all()


def test_a_seed_gives_the_same_images_and_another_one_others() -> None:
    first, again, other = (augment(crops(), generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_any_change_it_is_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_ROTATION", "MAX_ZOOM", "MAX_STRETCH", "MAX_SHIFT", "BLUR_PROBABILITY", "ERASE_PROBABILITY"):
        monkeypatch.setattr(module, limit, 0)
    monkeypatch.setattr(module, "_recolour", lambda images, **_: images)
    inner = (..., slice(1, -1), slice(1, -1))  # at its border preprocessing repeats pixels, a warp goes on
    images = augment(crops(), generator=torch.Generator().manual_seed(0))[inner]
    straight = preprocess(crops())[inner]
    for image, expected in zip(images, straight, strict=True):
        mirrored = expected.flip(2)
        assert min((image - expected).abs().max(), (image - mirrored).abs().max()) < 1e-3


@pytest.mark.parametrize(
    "change",
    [
        "MAX_ROTATION",
        "MAX_ZOOM",
        "MAX_STRETCH",
        "MAX_SHIFT",
        "BLUR_PROBABILITY",
        "GREY_PROBABILITY",
        "ERASE_PROBABILITY",
    ],
)
def test_each_change_changes_images(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random_crops = torch.randint(0, 256, (8, 250, 250, 3), dtype=torch.uint8)
    with_it = augment(random_crops, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(module, change, 1.0 if change.endswith("SHARE") else 0.0)
    without = augment(random_crops, generator=torch.Generator().manual_seed(0))
    changed = (with_it - without).abs().amax(dim=(1, 2, 3)) > 0.01
    assert changed.float().mean() > 0.4


def test_every_change_of_colour_happens() -> None:
    generator = torch.Generator().manual_seed(0)
    grey = torch.full((256, 3, 2, 2), 100.0)
    recoloured = module._recolour(grey.clone(), generator=generator)[:, :, 0, 0]
    assert recoloured.mean(dim=1).std() > 15, "brightness"
    assert (recoloured[:, 0] - recoloured[:, 2]).std() > 1, "white balance"
    half = torch.cat([grey, grey + 80], dim=3)
    contrast = module._recolour(half, generator=generator)[:, :, 0, [0, -1]].mean(dim=1).diff(dim=1)
    assert contrast.std() > 5, "contrast"
    colours = torch.tensor([100.0, 150, 100]).view(1, 3, 1, 1).repeat(256, 1, 2, 2)
    green = module._recolour(colours, generator=generator)[:, :, 0, 0]
    assert ((green[:, 1] - green[:, [0, 2]].mean(dim=1)) / 50).std() > 0.1, "saturation"


def test_some_are_mirrored_and_some_have_a_part_erased() -> None:
    images = augment(crops(), generator=torch.Generator().manual_seed(0))
    middle, quarter = INPUT_SIZE // 2, INPUT_SIZE // 4
    falling_red = images[:, 0, middle, :quarter].mean(dim=1) > images[:, 0, middle, -quarter:].mean(dim=1)
    assert 0.25 < falling_red.float().mean() < 0.75, "about half are mirrored"
    steps = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().amax(dim=(1, 2, 3))
    assert 0.1 < (steps > 0.2).float().mean() < 0.6, "erased rectangles have edges, the ramps have none"
