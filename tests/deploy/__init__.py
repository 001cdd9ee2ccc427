"""What deploy/ holds, linted and run."""
