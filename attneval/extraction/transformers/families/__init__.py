"""Families of models, told apart by what a class has and not by its name."""
