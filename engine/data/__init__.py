"""Rows in, a report out: reading, checks, fixes and the preview. Nothing here imports transformers."""
