"""Files on their way in: what was dropped, and what the check says of it."""
