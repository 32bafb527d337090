"""Losses of a training step."""
