"""What Discord offers beside messages: the forms behind buttons."""
