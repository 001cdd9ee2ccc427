"""What all tests share: they speak to loopback only, and their last lines say what was not run and why."""

import os
from collections import Counter

import pytest

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_PUBLIC_ENDPOINT"] = ""
for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_NAMESPACE", "DATA", "CACHE"):
    os.environ.pop(name, None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each reason to skip: a missing peer is named where everybody sees it."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"NOT RUN ({count}): {reason.removeprefix('Skipped: ')}")
