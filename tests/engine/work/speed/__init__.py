"""Tests of what makes a training fast."""
