"""What becomes of a run whose model cannot reach the Hub: it waits, trained, and is pushed again by itself. Pure."""

from dataclasses import replace

from engine.jobs import Run, Status

FIRST_S, LONGEST_S = 300.0, 1800.0
"""The pauses between two pushes begin and end here; in between each is as long as the outage so far."""
LIMIT_S = 24 * 3600.0
"""How long it goes on by itself: the Hub's long outages took two hours."""
GIVEN_UP = f"It was tried again and again for {LIMIT_S / 3600:.0f} hours."


def put_off(run: Run, now: float, asked_s: float) -> Run | None:
    """The run as its push is due again later; None once that went on for long enough.

    `asked_s` are the seconds that the Hub itself asks to wait. The next attempt counts as a first one.
    """
    since = run.away_since or now
    if now >= since + LIMIT_S:
        return None
    pause_s = max(min(max(now - since, FIRST_S), LONGEST_S), asked_s)
    tries = int(run.attempt.rpartition("-")[2])
    return replace(run, status=Status.trained, away_since=since, due_at=now + pause_s, tries_before=tries, reason="")
