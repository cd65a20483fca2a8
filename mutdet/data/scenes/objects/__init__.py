"""Shapes of single objects, in metres."""
