"""Average precision, tile merging, submission files."""
