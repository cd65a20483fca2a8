"""Label formats.

Each module has `read_labels(path, on_bad)`: the labels of a file, in its order. A record that cannot be read goes to `on_bad` as a
UserError naming file and record and is left out if that returns; a file that cannot be read at all raises one. Registered in
`mutdet.settings.registries.LABEL_FORMATS`.
"""
