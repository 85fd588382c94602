"""A backbone of MobileNetV3-Large's shape and a fraction of its size, for tests whose point is not the network."""

from types import SimpleNamespace

import pytest
from torch import nn

from facerec.training.recognition import network

CHANNELS = [16] * 16 + [960]
"""Output channels of the 17 blocks. Those of the last are MobileNetV3-Large's."""
STRIDES = {0: 8, 7: 2, 13: 2}
"""Strides of the blocks that reduce the resolution."""


def toy_mobilenet_v3_large() -> SimpleNamespace:
    """What stands for torchvision's `mobilenet_v3_large()`: an object with 17 blocks as its `features`."""
    blocks, inputs = [], 3
    for number, outputs in enumerate(CHANNELS):
        stride = STRIDES.get(number, 1)
        blocks.append(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, stride, stride=stride, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
            )
        )
        inputs = outputs
    return SimpleNamespace(features=nn.Sequential(*blocks))


def use_toy_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the recognizers' networks that are made from now on have the toy backbone."""
    monkeypatch.setattr(network, "mobilenet_v3_large", toy_mobilenet_v3_large)
