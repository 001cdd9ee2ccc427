"""What goes to the Hub: a repo that is claimed, a folder that is staged, its card, and the push."""
