"""The commands `check` and `preview`: what they take, what they print, and their exit codes."""
