"""What must never get out: secrets in logs, messages, files and processes."""
