"""Tests of the inside of a training."""
