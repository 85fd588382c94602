"""The written results of a run. Model cards (Mitchell et al., 2019, arXiv:1810.03993) are Markdown templates."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from facerec.atomic_write import atomic_write
from facerec.inference.model_file import ModelMetadata

BACKSLASHES = "backslashreplace"
"""Escapes bytes of file names that are not UTF-8. They must not make a run fail at its end."""


def write_results(model: Path, report: Mapping[str, Any], metadata: ModelMetadata, card: str) -> None:
    """Write the report and the model card beside the file `model`: MODEL.json for programs, MODEL.md for people.

    Args:
        model: path of the model file, which need not be there yet.
        report: plain values by name, but for `metadata`.
        metadata: of the model file.
        card: Markdown.
    """
    model.parent.mkdir(parents=True, exist_ok=True)
    plain = {**report, "metadata": metadata.model_dump(mode="json")}
    with atomic_write(model.with_suffix(".json")) as file:
        file.write((json.dumps(plain, indent=1, ensure_ascii=False) + "\n").encode("utf-8", BACKSLASHES))
    with atomic_write(model.with_suffix(".md")) as file:
        file.write(card.encode("utf-8", BACKSLASHES))


def render_card(template: Path, values: Mapping[str, Any]) -> str:
    """The Markdown of a card.

    Args:
        template: a Jinja template. Its filter `percent` writes a number from 0 to 1 in percent, by default with two
            decimals.
        values: the names that the template may use. An unknown name is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, not HTML
    )
    environment.filters["percent"] = lambda value, decimals=2: f"{value:.{decimals}%}"
    return environment.get_template(template.name).render(values)
