"""A backbone of MobileNetV3-Large's shape and a fraction of its size, for tests whose point is not the network."""

from types import SimpleNamespace

import pytest
from torch import nn

from facerec.training.detection import network as detection_network
from facerec.training.recognition import network as recognition_network

CHANNELS = [16] * 6 + [40] + [40] * 5 + [112] + [160] * 3 + [960]
"""Output channels of the 17 blocks. Those at the ends of the detector's levels are MobileNetV3-Large's."""
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
    """Let the networks that are made from now on have the toy backbone."""
    for module in (recognition_network, detection_network):
        monkeypatch.setattr(module, "mobilenet_v3_large", toy_mobilenet_v3_large)
