"""Detectors, each assembled from mutdet.nn."""
