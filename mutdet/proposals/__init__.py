"""Mask generators, and masks to rotated boxes."""
