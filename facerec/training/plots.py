"""The style of all plots, and how they are saved. They are legible 830 pixels wide, as GitHub shows them."""

import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import NullFormatter

from facerec.atomic_write import atomic_write

WIDTH_INCHES = 7.5
"""Width of a plot with many names: 825 pixels, so that it is shown as it is."""
NAME_POINTS = 8
"""Font size of names: letters are about 12 pixels high."""
MOST_NAMES = 100
"""Most people that a plot names. More would make it longer than anyone reads, and too high for the image format."""

FONT = "DejaVu Sans"
"""The font of all texts, which comes with Matplotlib."""
LAST_RESORT_FONT = "Last Resort High-Efficiency"
"""The font with which Matplotlib draws the characters that no other font has, as boxes."""

sns.set_theme(style="whitegrid", palette="deep")
mpl.rcParams |= {"figure.dpi": 110, "figure.constrained_layout.use": True, "font.family": [FONT]}
# Names may hold dollar signs, between which Matplotlib would look for formulas.
mpl.rcParams["text.parse_math"] = False


def save_plots(plots: dict[str, Figure], folder: Path) -> None:
    """Write each plot to `folder/NAME.png`. Characters that no installed font has are drawn as boxes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in plots.items():
        _choose_fonts(figure.findobj(Text))
        with atomic_write(folder / f"{name}.png") as file, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(file)


def display_names(names: Iterable[str]) -> list[str]:
    """Names with spaces in place of underscores."""
    return [name.replace("_", " ") for name in names]


def height_inches(rows: int) -> float:
    """Height of a plot that has a row for each name."""
    return 1.5 + 0.165 * rows


def write_out_numbers(axis: Axis) -> None:
    """Label a logarithmic axis, on which everything is drawn already, with numbers that are no formulas."""
    low, high = axis.get_view_interval()
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("{x:g}" if high < 10 * low else NullFormatter())


def _choose_fonts(texts: list[Text]) -> None:
    """Let texts use other installed fonts for the characters that `FONT` lacks, such as Chinese ones."""
    families = [FONT]
    missing = {ord(character) for text in texts for character in text.get_text() if not character.isspace()}
    missing -= _characters(font_manager.findfont(FONT))
    for font in sorted(font_manager.fontManager.ttflist, key=lambda font: (str(font.weight) != "400", font.name)):
        if not missing:
            break
        if font.name != LAST_RESORT_FONT and (found := missing & _characters(font.fname)):
            families.append(font.name)
            missing -= found
    for text in texts:
        text.set_fontfamily(families)


@cache
def _characters(font: str) -> frozenset[int]:
    """The code points that the font in a file can draw. None if the file can't be read."""
    try:
        return frozenset(FT2Font(font).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
