"""People: the gallery of those who are recognized without being trained on.

- `store`: the people and their samples, in a SQLite file or a PostgreSQL database
- `gallery`: the same people in memory, for matching
- `portable`: the same people in a file
- `quality`: whether a face of a picture is good enough to become a sample

A picture becomes a sample in three steps: `quality.choose_face`, `quality.measure` and `quality.check_likeness`. The
store keeps it, and `Gallery.refresh` takes it over from there.
"""
