import pytest
import torch

from facerec.training.recognition import augment as augment_module
from facerec.training.recognition.augment import augment
from facerec.training.recognition.network import INPUT_SIZE, preprocess


def crops() -> torch.Tensor:
    """Crops of smooth colour ramps, without edges."""
    ramp = torch.linspace(0, 255, 250)
    picture = torch.stack([ramp.expand(250, 250), ramp[:, None].expand(250, 250), 255 - ramp.expand(250, 250)], dim=2)
    return picture.round().to(torch.uint8).expand(64, 250, 250, 3)


def test_the_result_is_finite_and_channels_last() -> None:
    images = augment(crops(), generator=torch.Generator().manual_seed(0))
    assert images.shape == (64, 3, INPUT_SIZE, INPUT_SIZE)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.isfinite().all()


def test_the_generators_seed_decides_the_changes() -> None:
    first, again, other = (augment(crops(), generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_changes_augmentation_equals_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (
        "MAX_ROTATION_RADIANS",
        "MAX_LOG_ZOOM",
        "MAX_LOG_STRETCH",
        "MAX_SHIFT_FRACTION",
        "BLUR_PROBABILITY",
        "ERASE_PROBABILITY",
    ):
        monkeypatch.setattr(augment_module, limit, 0)
    monkeypatch.setattr(augment_module, "recolour", lambda images, **_: images)
    # The outermost pixels are left out: preprocessing repeats pixels there, while a warp reads beyond the centre.
    inner = (..., slice(1, -1), slice(1, -1))
    images = augment(crops(), generator=torch.Generator().manual_seed(0))[inner]
    preprocessed = preprocess(crops())[inner]
    for image, expected in zip(images, preprocessed, strict=True):
        mirrored = expected.flip(2)
        assert min((image - expected).abs().max(), (image - mirrored).abs().max()) < 1e-3


@pytest.mark.parametrize(
    "change",
    [
        "MAX_ROTATION_RADIANS",
        "MAX_LOG_ZOOM",
        "MAX_LOG_STRETCH",
        "MAX_SHIFT_FRACTION",
        "BLUR_PROBABILITY",
        "GREY_PROBABILITY",
        "ERASE_PROBABILITY",
    ],
)
def test_each_change_alters_images(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random_crops = torch.randint(0, 256, (8, 250, 250, 3), dtype=torch.uint8)
    with_change = augment(random_crops, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(augment_module, change, 1.0 if change.endswith("PROBABILITY") else 0.0)
    without_change = augment(random_crops, generator=torch.Generator().manual_seed(0))
    changed = (with_change - without_change).abs().amax(dim=(1, 2, 3)) > 0.01
    assert changed.float().mean() > 0.4


def test_brightness_white_balance_contrast_and_saturation_vary() -> None:
    generator = torch.Generator().manual_seed(0)
    grey = torch.full((256, 3, 2, 2), 100.0)
    recoloured = augment_module.recolour(grey.clone(), generator=generator)[:, :, 0, 0]
    assert recoloured.mean(dim=1).std() > 15, "brightness"
    assert (recoloured[:, 0] - recoloured[:, 2]).std() > 1, "white balance"
    half = torch.cat([grey, grey + 80], dim=3)
    contrast = augment_module.recolour(half, generator=generator)[:, :, 0, [0, -1]].mean(dim=1).diff(dim=1)
    assert contrast.std() > 5, "contrast"
    colours = torch.tensor([100.0, 150, 100]).view(1, 3, 1, 1).repeat(256, 1, 2, 2)
    green = augment_module.recolour(colours, generator=generator)[:, :, 0, 0]
    assert ((green[:, 1] - green[:, [0, 2]].mean(dim=1)) / 50).std() > 0.1, "saturation"


def test_some_images_are_mirrored_and_some_have_an_erased_part() -> None:
    images = augment(crops(), generator=torch.Generator().manual_seed(0))
    middle, quarter = INPUT_SIZE // 2, INPUT_SIZE // 4
    falling_red = images[:, 0, middle, :quarter].mean(dim=1) > images[:, 0, middle, -quarter:].mean(dim=1)
    assert 0.25 < falling_red.float().mean() < 0.75, "about half of the images are mirrored"
    steps = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().amax(dim=(1, 2, 3))
    assert 0.1 < (steps > 0.2).float().mean() < 0.6, "only erased rectangles have edges"
