"""What the bot measures of itself, for whoever watches it."""
