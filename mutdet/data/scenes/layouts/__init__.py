"""Whole scenes put together from blocks."""
