"""Rotated boxes: representations, IoU, NMS, angle codes. Pure functions."""
