"""Model cards (Mitchell et al., 2019, arXiv:1810.03993), rendered from Markdown templates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2


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
