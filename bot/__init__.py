"""THE CONVERSATION: what people ask and what the bot answers. No platform's SDK, no torch."""
