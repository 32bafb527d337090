"""The result of a scoring, and what is done with results."""
