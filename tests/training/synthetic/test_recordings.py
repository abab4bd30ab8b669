# SPDX-License-Identifier: GPL-3.0-or-later
import json
import shutil
from importlib.resources import files

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.motion import predict as prediction
from training.synthetic.recordings import prepare_recordings
from training.synthetic.schedule import schedule


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A capture in which the sample voice speaks."""
    folder = tmp_path_factory.mktemp("recordings")
    prepare_recordings(folder, load_head("default"))
    return folder


def test_recording_transcript_and_performance_lie_beside_each_other(folder):
    stem = folder / "speech" / "sample_voice"
    voice = (files("engine.assets") / "sample_voice.wav").read_bytes()
    assert stem.with_suffix(".wav").read_bytes() == voice
    assert len(stem.with_suffix(".txt").read_text("utf-8").split()) > 5
    assert stem.with_suffix(".performance.npz").is_file()


def test_performances_are_made_once(folder, monkeypatch):
    def again(*arguments, **options):
        pytest.fail("The performance was made again.")

    monkeypatch.setattr(prediction, "predict", again)
    (spoken,) = prepare_recordings(folder, load_head("default"))
    assert spoken.name == "sample_voice"
    assert spoken.performance.frames > 100


def test_what_is_filmed_is_what_the_engine_performs(folder):
    head = load_head("default")
    spoken = prepare_recordings(folder, head)
    captured = [pose for pose in schedule(head, spoken, 40, 0) if pose.frame]
    jaw = head.expression_index("jawOpen")
    assert len(captured) == 10
    opened = np.ptp(spoken[0].performance.expression[:, jaw])
    assert np.ptp([pose.param.expression[jaw] for pose in captured]) > 0.3 * opened > 0.06
    for pose in captured:
        frame = pose.frame[1]
        offsets = spoken[0].performance.offsets(frame, frame + 1)[0]
        assert np.abs(pose.vertices - head.template - offsets).max() < 1e-6


def test_two_recordings_of_one_name_are_refused(tmp_path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        shutil.copy(files("engine.assets") / "sample_voice.wav", tmp_path / place / "talk.wav")
    audio = [tmp_path / place / "talk.wav" for place in ("one", "two")]
    with pytest.raises(BadInputError, match="called 'talk'"):
        prepare_recordings(tmp_path, load_head("default"), audio, sample=False)


def test_a_recording_that_is_no_sound_is_named(tmp_path):
    (tmp_path / "noise.wav").write_bytes(b"no sound at all")
    with pytest.raises(BadInputError, match=r"noise\.wav"):
        prepare_recordings(tmp_path, load_head("default"), [tmp_path / "noise.wav"], sample=False)
    assert not (tmp_path / "speech").exists()


def test_the_split_of_a_folder_is_kept_for_the_recordings_that_are_filmed(
    folder, tmp_path, monkeypatch
):
    source = tmp_path / "speaker"
    source.mkdir()
    for name in ("a", "b"):
        for suffix in (".wav", ".performance.npz"):
            given = folder / "speech" / f"sample_voice{suffix}"
            shutil.copy(given, source / f"{name}{suffix}")
    split = {"training": ["b", "c"], "validation": [], "test": ["a"]}
    (source / "split.json").write_text(json.dumps(split))
    monkeypatch.setattr(prediction, "predict", lambda *_given, **_options: pytest.fail("predicted"))
    sounds = [source / "a.wav", source / "b.wav"]
    prepare_recordings(tmp_path / "all", load_head("default"), sounds, sample=False)
    kept = json.loads((tmp_path / "all" / "speech" / "split.json").read_text())
    assert kept == {"training": ["b"], "validation": [], "test": ["a"]}
    (source / "split.json").write_text(json.dumps(split | {"test": 3}))
    with pytest.raises(BadInputError, match=r"split\.json"):
        prepare_recordings(tmp_path / "bad", load_head("default"), sounds, sample=False)
