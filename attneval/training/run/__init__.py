"""A training run, from a configuration to checkpoints and a log."""
