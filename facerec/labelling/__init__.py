"""Labelling: who is in the pictures of a whole archive, as rows of a table.

- `sources`: the pictures of folders, globs, storage addresses and URLs
- `labeller`: from pictures to rows, in worker processes
- `label_folder`, `single_file`: where the rows are kept
- `archive`: all of these together
- `sidecars`: from the rows to the photos' own metadata
- `xmp`: that metadata
"""
