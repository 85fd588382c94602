"""What all plots share: fonts, names and numbers."""

from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from facerec.training.plots import save_plots, write_out_numbers

HAN = "\u4e00"


def write_font(path: Path, character: str) -> None:
    """A font in which one character is a black square."""
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(character): "square"})
    pen = TTGlyphPen(None)
    for step, point in enumerate([(0, 0), (0, 900), (900, 900), (900, 0)]):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "One Square", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def drawn(text: str, folder: Path) -> np.ndarray:
    """The pixels of a plot with nothing but a text, bool `[H, W]`, true where it is dark."""
    figure = Figure(figsize=(4, 1))
    figure.text(0.2, 0.2, text, fontsize=40)
    save_plots({"text": figure}, folder)
    with Image.open(folder / "text.png") as picture:
        return np.asarray(picture.convert("L")) < 128


def test_characters_are_drawn_in_a_font_that_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_font(tmp_path / "square.ttf", HAN)
    fonts = font_manager.fontManager
    with monkeypatch.context() as patch:
        entries = [entry for entry in fonts.ttflist if "DejaVu" in entry.fname or "Last" in entry.name]
        patch.setattr(fonts, "ttflist", entries)
        assert 0 < drawn(HAN, tmp_path / "without").sum() < 2_000, "a box"
        fonts.addfont(str(tmp_path / "square.ttf"))
        square = drawn(HAN, tmp_path / "with")
    rows, columns = np.nonzero(square)
    area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert square.sum() > 2_500
    assert square.sum() == pytest.approx(area, rel=0.02)


def test_dollar_signs_are_no_formula(tmp_path: Path) -> None:
    wide = drawn("a$$$$b", tmp_path)
    assert np.ptp(np.nonzero(wide)[1]) > 1.8 * np.ptp(np.nonzero(drawn("a$b", tmp_path))[1])
    drawn(r"$\no$", tmp_path)  # would be an error as a formula


@pytest.mark.parametrize("values", [[1, 3000], [2.1, 4.8], [0.003, 90]])
def test_logarithmic_axes_have_numbers(values: list[float]) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot(values, values)
    axes.set(xscale="log", yscale="log")
    write_out_numbers(axes.xaxis)
    write_out_numbers(axes.yaxis)
    figure.draw_without_rendering()
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    assert len(texts) >= 4
    for text in texts:
        float(text)
