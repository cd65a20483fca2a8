"""The comparison as a LaTeX table for booktabs."""

from collections.abc import Mapping, Sequence
from typing import Any

from mutdet.reporting.numbers import MISSING, gained, measured, percent, training_length

_SPECIAL = {"\\": r"\textbackslash{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_PAPER = {"voc07_ap50_paper": "AP$_{50}$ (paper)", "voc07_ap75_paper": "AP$_{75}$ (paper)"}
_SHOWN = {"voc07_ap50": "AP$_{50}$", "voc07_ap75": "AP$_{75}$", "voc07_ap50_95": "AP$_{50:95}$", "area_ap50": "AP$_{50}$ (area)", "recall_50": "recall"}


def latex_table(rows: Sequence[Mapping[str, Any]], caption: str = "") -> str:
    """`table` environment; needs the package booktabs. Figures in percent, gains in points in brackets."""
    printed = {name: title for name, title in _PAPER.items() if any(row[name] is not None for row in rows)}
    headers = ["experiment", "labels", "length", "seeds", *_SHOWN.values(), *printed.values()]
    body = [" & ".join([*_names(row), *(_cell(row, name) for name in _SHOWN), *(_printed(row[name]) for name in printed)]) for row in rows]
    sets = sorted({f"{row['dataset']} {row['split']}" for row in rows})
    text = caption or f"Experiments on {', '.join(sets)}: AP by VOC07's 11 points, and class-agnostic recall, in percent."
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(text)}}}",
        rf"\begin{{tabular}}{{lllr{'r' * (len(_SHOWN) + len(printed))}}}",
        r"\toprule",
        " & ".join(headers) + r" \\",
        r"\midrule",
        *(line + r" \\" for line in body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text with LaTeX's special characters made harmless."""
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def _names(row: Mapping[str, Any]) -> list[str]:
    return [escape(row["experiment"]), escape(_share(row)), escape(training_length(row)), str(row["seeds"])]


def _printed(value: float | None) -> str:
    return "--" if value is None else f"${percent(value)}$"


def _share(row: Mapping[str, Any]) -> str:
    return MISSING if row["fraction"] is None or row["epochs"] == 0 else f"{percent(row['fraction'], 0)} %"


def _cell(row: Mapping[str, Any], measure: str) -> str:
    gain = gained(row, measure).replace("−", "-")
    number = measured(row, measure).replace("±", r"\pm")
    body = f"{number}\\,({gain})" if gain else number
    return "--" if row[measure] is None else f"${body}$"
