"""Pieces of land or water with what stands on them."""
