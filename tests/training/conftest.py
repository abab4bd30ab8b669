# SPDX-License-Identifier: GPL-3.0-or-later
import importlib.util
import itertools

import pytest
import torch

from engine.heads import load_head
from tests.training.data.flame_sequences import write_flame_sequences
from tests.training.data.speaking_capture import write_speaking_capture
from training.synthetic.small_capture import write_small_capture


@pytest.fixture(scope="session", autouse=True)
def _small_pictures():
    """What shows a training in few pixels: it costs more than most trainings of the tests.

    Videos of reports are small and short, and of a record's curves the first is drawn.
    """
    if importlib.util.find_spec("tensorboard") is None:  # Where only tracking is tested.
        yield
        return
    from training.run.record import curves_figure

    def first_curve(curves, title=""):
        return curves_figure(dict(itertools.islice(curves.items(), 1)), title)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.evaluation.avatar.TURNTABLE", (72, 88))
        patch.setattr("training.evaluation.avatar.FRAMES", 16)
        patch.setattr("training.run.record.curves_figure", first_curve)
        yield


@pytest.fixture(scope="module")
def one_thread():
    """Train on one thread; what shares the processors with others is slower on more."""
    from training.avatar.run import use_threads

    before = torch.get_num_threads()
    use_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def head():
    return load_head("default")


@pytest.fixture(scope="session")
def small_capture(tmp_path_factory):
    """Folder of a 4-camera, 3-timestep, 44×64 capture of the shipped avatar; do not write to it."""
    return write_small_capture(tmp_path_factory.mktemp("small-capture"))


@pytest.fixture(scope="session")
def speaking_capture(tmp_path_factory):
    """Folder of a small capture that speaks; do not write to it."""
    return write_speaking_capture(tmp_path_factory.mktemp("speaking-capture"))


@pytest.fixture(scope="session")
def flame_sequences(tmp_path_factory):
    """Three sequences of a FLAME person, two of them filmed; do not write to their folders."""
    names = ("SEN-01", "SEN-02", "SEN-03")
    return write_flame_sequences(tmp_path_factory.mktemp("filmed") / "306", names=names, filmed=2)
