"""Setting the bot up, and saying what is wrong with how it is set up."""
