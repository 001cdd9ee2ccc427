"""Tests of what is made of a trained lora."""
