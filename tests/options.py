"""Changes to options in tests, by the flat names that the command line has."""

import dataclasses
from typing import Any, TypeVar

from facerec.training.options import DetectorOptions, RecognizerOptions, TuneOptions

Options = TypeVar("Options", RecognizerOptions, TuneOptions, DetectorOptions)


def changed(options: Options, **changes: Any) -> Options:
    """The options with some values changed."""
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        group = getattr(options, field.name)
        if dataclasses.is_dataclass(group) and not isinstance(group, type):
            own = {each.name for each in dataclasses.fields(group)} & changes.keys()
            groups[field.name] = dataclasses.replace(group, **{name: changes.pop(name) for name in own})
    return dataclasses.replace(options, **groups, **changes)


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
