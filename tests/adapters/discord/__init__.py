"""Discord, seen from the outside."""
