"""Backbones, neck, attention, transformer, matching, losses."""
