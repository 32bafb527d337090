"""One scoring, from files to a result."""
