"""The style of all plots, and how they are saved."""

from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from facerec.training.atomic_write import atomic_write

sns.set_theme(style="whitegrid", palette="deep")
mpl.rcParams |= {"figure.dpi": 110, "figure.constrained_layout.use": True}


def save_plots(plots: dict[str, Figure], folder: Path) -> None:
    """Write each plot to `folder/NAME.png`."""
    for name, figure in plots.items():
        with atomic_write(folder / f"{name}.png") as file:
            figure.savefig(file)
