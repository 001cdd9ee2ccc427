"""Which base models may be taken here, and which one is where nobody names any."""
