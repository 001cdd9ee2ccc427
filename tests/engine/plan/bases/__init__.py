"""Which base models may be taken, and which one is where nobody names any."""
