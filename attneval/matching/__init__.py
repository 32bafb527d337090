"""Exports against annotations: tokens to words to phrases to items."""
