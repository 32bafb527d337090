"""The four base models."""
