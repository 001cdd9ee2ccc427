"""Datasets of the Hub: what `hf:org/name[config]:train[:1000]` means, which files that is, and how they come here."""
