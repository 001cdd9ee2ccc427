"""What the bot does with what people say."""
