"""Boxes, grids, masks, and their overlap."""
