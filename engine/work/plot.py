"""The loss curve as a picture, from an attempt's events."""

from collections.abc import Sequence
from pathlib import Path

from engine.events import Event, read_events

INK, ACCENT, HELD_OUT, PAPER = "#24292f", "#2f6fde", "#d9822b", "#ffffff"


def plot(folder: Path, target: Path, title: str = "") -> None:
    """Draw the training loss of the attempt in `folder`, and its held-out loss where there is one."""
    draw(read_events(folder / "events.jsonl"), target, title)


def draw(events: Sequence[Event], target: Path, title: str = "") -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    losses = [(event.data["step"], event.data["loss"]) for event in events if event.kind == "step"]
    held_out = [
        (event.data["step"], event.data["eval_loss"])
        for event in events
        if event.kind == "evaluated" and "eval_loss" in event.data
    ]
    figure = Figure(figsize=(7.2, 3.6), dpi=150, facecolor=PAPER, layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    if losses:
        axes.plot(*columns(losses), color=ACCENT, alpha=0.3, linewidth=1)
        axes.plot(*columns(smooth(losses)), color=ACCENT, linewidth=2, label="training loss")
    if held_out:
        line = "--" if len(held_out) > 2 else "none"  # two points are no curve
        axes.plot(*columns(held_out), color=HELD_OUT, marker="o", linestyle=line, linewidth=1, label="held-out loss")
    axes.set_title(title or "Loss", loc="left", color=INK, fontsize=11)
    axes.set_xlabel("step", color=INK)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", color=INK, alpha=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    if losses or held_out:
        axes.legend(frameon=False, labelcolor=INK)
    figure.savefig(target)


def columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [step for step, _ in points], [loss for _, loss in points]


def smooth(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A running mean over a tenth of the curve, so that the trend shows through the noise."""
    width = max(1, len(points) // 10)
    smoothed = []
    for index, (step, _) in enumerate(points):
        window = points[max(0, index - width) : index + width + 1]
        smoothed.append((step, sum(loss for _, loss in window) / len(window)))
    return smoothed
