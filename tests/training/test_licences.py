from pathlib import Path

from facerec.training.licences import describe_start


def test_the_start_is_described_with_its_licence() -> None:
    assert (
        describe_start(Path("a/start.pth"), licence="GPL-3.0")
        == "started from start.pth and carries its licence: GPL-3.0"
    )
    assert "BSD-3-Clause" in describe_start("imagenet", licence="unknown")
    assert "random" in describe_start("none", licence="unknown")
    assert describe_start("none", licence="unknown", taught=True).endswith(
        "dlib's network, which is in the public domain (CC0 1.0)"
    )
