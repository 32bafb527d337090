"""Boxes, grids, masks, and what they share."""
