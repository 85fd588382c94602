from pathlib import Path

import jinja2
import pytest

from facerec.training.model_card import render_card


def test_a_card_has_its_values_and_percents(tmp_path: Path) -> None:
    template = tmp_path / "card.md.jinja"
    template.write_text(
        "# {{ name }}\n{% for x in values %}\n| {{ x | percent }} | {{ x | percent(1) }} |\n{% endfor %}\n"
    )
    card = render_card(template, {"name": "A <b> & C", "values": [0.98765, 1.0]})
    assert card == "# A <b> & C\n| 98.77% | 98.8% |\n| 100.00% | 100.0% |\n"


def test_a_name_that_the_template_lacks_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "card.md.jinja").write_text("{{ missing }}")
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        render_card(tmp_path / "card.md.jinja", {})
