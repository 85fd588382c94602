"""How all plots look, and how they are saved."""

from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from facerec.training.atomic_write import replacing

sns.set_theme(style="whitegrid", palette="deep")
mpl.rcParams |= {"figure.dpi": 110, "figure.constrained_layout.use": True}


def save_plots(figures: dict[str, Figure], folder: Path) -> None:
    """Write each figure to `folder/NAME.png`."""
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as file:
            figure.savefig(file)
