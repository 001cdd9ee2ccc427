"""Trying a trained model: questions put to it and to its base, in a short attempt of the kind `ask`."""

QUESTIONS = "questions.jsonl"
"""In an attempt's folder: the questions that were put to it, a JSON object a line."""
