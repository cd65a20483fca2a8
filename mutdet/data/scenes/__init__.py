"""Procedural aerial scenes with oriented labels and exact instance masks."""
