"""The detector's options in tests."""

import dataclasses
from typing import Any

from facerec.training.options import DetectorOptions, RecognizerOptions, changed


def detector_options(options: RecognizerOptions, **changes: Any) -> DetectorOptions:
    """The options of the detector that goes with a recognizer, with some values changed."""
    common: dict[str, Any] = {}
    for group in (options.data, options.model, options.training, options.publishing):
        common |= {field.name: getattr(group, field.name) for field in dataclasses.fields(group)}
    known = {
        field.name
        for group in (DetectorOptions().data, DetectorOptions().model, DetectorOptions().training)
        for field in dataclasses.fields(group)
    } | {"weights_licence", "output", "images"}
    return changed(DetectorOptions(), **{name: common[name] for name in known & common.keys()} | changes)
