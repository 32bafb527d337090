"""Uncertainty: bootstrap, randomization, adjustment for many tests."""
