"""Trying a trained model."""
