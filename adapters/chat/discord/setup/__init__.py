"""Setting this platform up, and what can be wrong with it."""
