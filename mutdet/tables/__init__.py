"""Parquet schemas, atomic writing, streaming reading."""
