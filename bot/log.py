"""The log: one JSON object a line, with what our own code says and what libraries warn of."""

import logging
from typing import TextIO

import structlog


def to(stream: TextIO) -> None:
    """Send the log there from now on."""
    logging.basicConfig(stream=stream, level=logging.WARNING, force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
