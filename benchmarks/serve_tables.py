"""The tables of `benchmarks.serve`."""

from collections.abc import Mapping
from dataclasses import astuple

from pydantic import JsonValue

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Cell, Figures
from benchmarks.results import table


def tables(medians: Mapping[Cell, Figures], absent: Mapping[str, JsonValue]) -> str:
    """For each load a table at a usual number of clients, then all cells in one."""
    counts = sorted({cell.clients for cell in medians} - {0})
    usual = counts[len(counts) // 2]
    loads = dict.fromkeys((cell.picture, cell.way) for cell in medians if cell.clients)
    parts = [
        f"**{picture}, {way}, {usual} clients**\n\n{_compared(medians, picture, way, usual)}" for picture, way in loads
    ]
    parts += [f"Not measured: {name}, which {why}." for name, why in absent.items()]
    parts.append(f"<details><summary>All cells</summary>\n\n{_all(medians)}\n\n</details>")
    return "\n\n".join(parts)


def _compared(medians: Mapping[Cell, Figures], picture: str, way: str, clients: int) -> str:
    """Limits and contenders under one load."""
    limits: dict[str, tuple[Cell, Figures]] = {}
    for cell, figures in medians.items():
        if (cell.picture, cell.clients) == (picture, 0):
            best = limits.setdefault(cell.contender, (cell, figures))
            if figures.requests_per_second > best[1].requests_per_second:
                limits[cell.contender] = cell, figures
    obvious = medians.get(Cell(CONTENDERS["obvious"].name, picture, way, clients))
    rows = [_row(f"{name} ({cell.way})", figures, figures, obvious) for name, (cell, figures) in limits.items()]
    for contender in CONTENDERS.values():
        if found := medians.get(Cell(contender.name, picture, way, clients)):
            limit = limits.get(contender.limit)
            rows.append(_row(contender.name, found, limit[1] if limit else None, obvious))
    columns = ("", "requests/s", "of the limit", "x obvious", "p50 ms", "p99 ms", "errors", "CPU ms", "peak MB")
    return table(columns, rows)


def _row(name: str, figures: Figures, limit: Figures | None, obvious: Figures | None) -> list[str | float | None]:
    rate = figures.requests_per_second
    return [
        name,
        rate,
        f"{rate / limit.requests_per_second:.0%}" if limit else None,
        rate / obvious.requests_per_second if obvious else None,
        figures.p50_ms,
        figures.p99_ms,
        f"{figures.refused + figures.failed:.0%}",
        figures.cpu_ms,
        figures.peak_mb,
    ]


def _all(medians: Mapping[Cell, Figures]) -> str:
    columns = (
        *("", "picture", "way", "clients", "requests/s", "p50 ms", "p99 ms"),
        *("refused", "failed", "CPU ms", "peak MB", "clients' CPU ms"),
    )
    return table(columns, [[*astuple(cell), *astuple(figures)] for cell, figures in medians.items()])
