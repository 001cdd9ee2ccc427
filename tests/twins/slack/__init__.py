"""Slack on loopback: the Web API, Socket Mode, signed HTTP delivery with retries, files, limits, and people's hands."""
