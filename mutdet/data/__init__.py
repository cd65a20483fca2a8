"""Image and label formats, tiling, data sets, procedural scenes."""
