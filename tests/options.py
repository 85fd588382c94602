"""The detector's options in tests."""

import dataclasses
from typing import Any

from facerec.training.options import DetectorOptions, RecognizerOptions, changed


def detector_options(options: RecognizerOptions, **changes: Any) -> DetectorOptions:
    """The options of the detector that goes with a recognizer, with some values changed."""
    common: dict[str, Any] = {}
    for group in (options.data, options.training, options.publishing):
        common |= {field.name: getattr(group, field.name) for field in dataclasses.fields(group)}
    known = {field.name for group in vars(DetectorOptions()).values() for field in dataclasses.fields(group)}
    return changed(DetectorOptions(), **{name: common[name] for name in known & common.keys()} | changes)
