"""The attention export: what a model did on a set of image-caption pairs, in one `.npz` file."""
