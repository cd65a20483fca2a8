"""How figures are written out."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

MISSING = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """Share as a percentage without the sign."""
    return MISSING if value is None else f"{100 * value:.{digits}f}"


def measured(row: Mapping[str, Any], measure: str) -> str:
    """Mean of a measure in percent, with its spread over seeds where there are several."""
    return _with_spread(row[measure], row[f"{measure}_spread"])


def mean_and_spread(shares: Sequence[float]) -> str:
    """Mean of shares in percent, with their standard deviation where there are several."""
    if not shares:
        return MISSING
    return _with_spread(fmean(shares), stdev(shares) if len(shares) > 1 else None)


def _with_spread(mean: float | None, spread: float | None) -> str:
    return percent(mean) + (f" ± {percent(spread)}" if spread is not None else "")


def gained(row: Mapping[str, Any], measure: str) -> str:
    """Gain of a measure in percentage points, with its sign."""
    gain = row[f"{measure}_gain"]
    return "" if gain is None else points(gain)


def points(difference: float) -> str:
    """Difference of two shares in percentage points, with its sign; what rounds to nothing has none."""
    written = percent(abs(difference))
    return written if float(written) == 0.0 else f"{'+' if difference > 0 else '−'}{written}"


def training_length(row: Mapping[str, Any]) -> str:
    """Length of a fine-tuning."""
    if row["iterations"] is not None:
        return f"{row['iterations']} steps"
    return MISSING if row["epochs"] is None else f"{row['epochs']} epochs"


def duration(seconds: float | None) -> str:
    """Seconds as seconds, minutes or hours."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def thousands(value: int) -> str:
    """Whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")
