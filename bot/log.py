"""The log: one JSON object a line, with what our own code says and what libraries warn of; no secret in any of them."""

import logging
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from bot.redact import redactor


class Redacting(logging.Formatter):
    """Formats the lines of libraries, their tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redactor.text(super().format(record))


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The step before the rendering, where nothing is escaped yet."""
    return {name: redactor.text(value) if isinstance(value, str) else value for name, value in event.items()}


def redact_line(logger: WrappedLogger, method: str, line: EventDict) -> str:
    """The last step, on the rendered line: what stood within other values."""
    return redactor.text(str(line))


def to(stream: TextIO) -> None:
    """Send the log there from now on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Redacting("%(levelname)s:%(name)s:%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(),
            redact_line,
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
