"""Every sentence that the bot says, as pure functions that return a Message."""
