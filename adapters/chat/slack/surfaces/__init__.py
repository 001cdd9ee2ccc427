"""What Slack offers beside messages: the form, the Home tab, the first words in a channel."""
