"""One thin module per stage: read tables, call the library, write tables."""
