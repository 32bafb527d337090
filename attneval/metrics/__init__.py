"""Numpy only: arrays in, numbers per item out."""
