"""Files: whole or not at all, read by windows, written as streams, and their digests."""
