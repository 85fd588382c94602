"""`docs/security.md` claims nothing that no test shows."""

import re

from tests.serving.harness import ROOT

ROWS = [line for line in (ROOT / "docs/security.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]


def test_every_threat_has_its_row_and_every_row_its_test() -> None:
    assert sorted(int(row.split("|")[1]) for row in ROWS) == list(range(1, 65))
    for row in ROWS:
        shown = re.findall(r"`(test_\w+)::(test_\w+)`", row)
        assert shown or "| the same" in row, row
        for file, test in shown:
            text = (ROOT / "tests/serving" / f"{file}.py").read_text()
            assert f"def {test}(" in text, f"{file}::{test}"
