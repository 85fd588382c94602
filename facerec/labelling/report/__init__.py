"""The report of a folder of labels: one HTML page with a contact sheet of known and unknown people, and errors.

- `contents`: what it shows, from the rows
- `crops`: the faces, cut out of their pictures
- `page`: the file
"""

from facerec.labelling.report.page import write_report

__all__ = ["write_report"]
