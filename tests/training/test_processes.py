# SPDX-License-Identifier: GPL-3.0-or-later
"""One process; two are in tests/training/avatar/test_avatar_trainer.py, and
tests/training/commands/test_torchrun.py."""

import pytest
import torch

from engine.core.errors import BadInputError
from training.run.processes import join_processes


def test_one_process_is_the_first_and_agrees_with_itself(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = join_processes(cuda=False)
    assert (alone.device.type, alone.rank, alone.count) == ("cpu", 0, 1)
    tensor = torch.arange(3.0)
    assert torch.equal(alone.summed(tensor), torch.arange(3.0))
    assert alone.agreed(yes=True)
    assert not alone.agreed(yes=False)
    assert torch.equal(alone.each(tensor), tensor[None])
    assert alone.from_first(lambda: {"step": 3}) == {"step": 3}


def test_cuda_without_a_device_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInputError, match="no CUDA device") as caught:
        join_processes(cuda=True)
    assert "--device cpu" in caught.value.hint


def test_several_hosts_that_would_not_meet_after_a_restart_are_refused(monkeypatch):
    started = {"WORLD_SIZE": "4", "RANK": "2", "GROUP_WORLD_SIZE": "2"}
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    with pytest.raises(BadInputError, match="several hosts") as caught:
        join_processes(cuda=False)
    assert "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1" in caught.value.hint
