"""Evaluators of others, written from the descriptions of their methods, from the files to the numbers."""
