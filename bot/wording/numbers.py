"""How numbers are said: sizes, durations, counts, a progress bar and a sparkline."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def size(count: int) -> str:
    """Bytes as people say them: 512 B, 3.2 MB."""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def duration(seconds: float) -> str:
    """A duration to the precision that matters: 8 s, 2 min 5 s, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def turn(position: int, wait_s: float | None) -> str:
    """A place in the queue, from 1, and in how many seconds it is likely to come to an end, None where nobody knows.

    Told coarsely, so that the message of a run that waits is not edited all the time.
    """
    where = "It is next" if position <= 1 else f"{position - 1} before it in the queue"
    if wait_s is None or wait_s < 60:
        return f"{where}."
    step_s = next(step for most, step in ((600.0, 60), (7200.0, 600), (float("inf"), 3600)) if wait_s <= most)
    return f"{where}; it starts in about {duration(round(wait_s / step_s) * step_s)}."


def number(value: float) -> str:
    """Four significant digits, no exponent where a person would not write one."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def count(amount: int, noun: str, plural: str = "") -> str:
    """`3 rows`, `1 row`, `12,000 tokens`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def bar(done: int, total: int, width: int = 20) -> str:
    filled = round(width * done / total) if total else 0
    return "█" * filled + "░" * (width - filled)


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The last values as a line of blocks; the highest one is full. Empty for fewer than two."""
    if len(values) < 2:
        return ""
    step = max(1, len(values) / width)
    picked = [values[int(i * step)] for i in range(min(width, len(values)))]
    low, high = min(picked), max(picked)
    spread = (high - low) or 1.0
    return "".join(BARS[round((value - low) / spread * (len(BARS) - 1))] for value in picked)
