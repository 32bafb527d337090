"""Data that a run reads."""
