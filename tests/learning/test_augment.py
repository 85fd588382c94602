import pytest
import torch

from facerec.learning import augment as module
from facerec.learning.augment import augment
from facerec.learning.network import CROP_SIZE, INPUT_SIZE, preprocess


def frames() -> torch.Tensor:
    """Smooth frames, so that warps change them little by little."""
    ramp = torch.linspace(0, 255, 250)
    picture = torch.stack([ramp.expand(250, 250), ramp[:, None].expand(250, 250), 255 - ramp.expand(250, 250)], dim=2)
    return picture.round().to(torch.uint8).expand(64, 250, 250, 3)


def test_shape_range_and_memory() -> None:
    images = augment(frames(), generator=torch.Generator().manual_seed(0))
    assert images.shape == (64, 3, INPUT_SIZE, INPUT_SIZE)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.isfinite().all()


def test_a_seed_gives_the_same_images_and_another_one_others() -> None:
    first, again, other = (augment(frames(), generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_any_change_it_is_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_ROTATION", "MAX_ZOOM", "MAX_STRETCH", "MAX_SHIFT", "BLUR_SHARE", "ERASE_SHARE"):
        monkeypatch.setattr(module, limit, 0)
    monkeypatch.setattr(module, "_recolour", lambda images, **_: images)
    inner = (..., slice(1, -1), slice(1, -1))  # at its border preprocessing repeats pixels, a warp goes on
    images = augment(frames(), generator=torch.Generator().manual_seed(0))[inner]
    straight = preprocess(frames(), crop=CROP_SIZE)[inner]
    for image, expected in zip(images, straight, strict=True):
        mirrored = expected.flip(2)
        assert min((image - expected).abs().max(), (image - mirrored).abs().max()) < 1e-3


def test_every_change_happens() -> None:
    images = augment(frames(), generator=torch.Generator().manual_seed(0))
    falling_red = images[:, 0, 56, :28].mean(dim=1) > images[:, 0, 56, -28:].mean(dim=1)
    assert 0.25 < falling_red.float().mean() < 0.75, "about half are mirrored"
    steps = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().amax(dim=(1, 2, 3))
    assert 0.1 < (steps > 0.2).float().mean() < 0.6, "erased rectangles have edges, the ramps have none"
