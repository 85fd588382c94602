"""What all commands of training begin with."""

import pytest

from facerec.training import session
from facerec.training.errors import OptionError


def test_a_command_of_one_process_refuses_several_before_it_reads_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "world_size", lambda: 2)
    with session.training_session(several_processes=True):
        pass
    with pytest.raises(OptionError, match="in one process: start it without torchrun"), session.training_session():
        pass
