"""Models turned into exports: checkpoints of other people's models, each by the library that loads them."""
