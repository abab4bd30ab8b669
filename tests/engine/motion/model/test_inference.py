# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams, chunks and whole clips are one computation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError
from engine.heads.head import Head, Skeleton
from engine.motion.encoders.base import AudioFeatures
from engine.motion.model.config import STARTER, for_head
from engine.motion.model.inference import check_head, frames_of, infer
from engine.motion.model.live import MotionStream, SpeechStream
from engine.motion.model.network import SpeechModel
from engine.motion.model.resampling import Resampler

E, V = 6, 12


@pytest.fixture(scope="module")
def head():
    rng = np.random.default_rng(0)
    return Head(
        id="small",
        template=rng.normal(size=(V, 3)).astype(np.float32),
        faces=np.array([[0, 1, 2]], np.int32),
        uv=np.zeros((1, 2), np.float32),
        uv_faces=np.zeros((1, 3), np.int32),
        expression_basis=rng.normal(size=(E, V, 3)).astype(np.float32) * 0.01,
        expression_names=tuple(f"e{i}" for i in range(E)),
        skeleton=Skeleton(("root",), np.array([-1], np.int32), np.zeros((1, 3)), np.ones((V, 1))),
        regions={"lips": np.arange(4, dtype=np.int32)},
    )


def _model(head, **changes):
    torch.manual_seed(0)
    small = replace(STARTER, features=7, dimension=16, heads=2, feed_forward=32, past=6, dropout=0)
    model = SpeechModel(for_head(replace(small, **changes), head)).eval()
    torch.nn.init.normal_(model.mapper.weights.weight)
    return model


def _clip(model, duration, seed=0):
    config = model.config
    count = round(duration * config.feature_rate)
    values = np.random.default_rng(seed).normal(size=(count, config.features)).astype(np.float32)
    return AudioFeatures(values, config.feature_rate, config.feature_start, duration)


@pytest.mark.parametrize("chunk", [1, 3, 64, 1000])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"alignment_mask": False},
        {"wrinkle_features": False},
        {"ahead": 0},
        {"ahead": 0, "lip_feedback": True},
        {"motion_memory": True},
        {"motion_memory": True, "alignment_mask": False},
        {"feature_rate": 50.0, "feature_start": 0.0125, "motion_rate": 25.0},
        {"feature_rate": 50.0, "feature_start": 0.0125, "motion_rate": 60.0},
    ],
    ids=lambda changes: next(iter(changes), "starter"),
)
def test_a_stream_gives_the_numbers_of_the_whole_clip(head, changes, chunk):
    model = _model(head, **changes)
    clip = _clip(model, 2.37)
    frames = int(2.37 * model.config.motion_rate) + 2
    with torch.no_grad():
        whole = model(torch.from_numpy(clip.values)[None], frames)
    stream = MotionStream(model)
    made = [
        stream.push(clip.values[start : start + chunk])
        for start in range(0, len(clip.values), chunk)
    ]
    made.append(stream.finish(frames))
    weights = np.concatenate([part.weights for part in made])
    expression = np.concatenate([part.expression for part in made])
    np.testing.assert_allclose(weights, whole.weights[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(expression, whole.expression[0].numpy(), atol=1e-5)


def test_a_clip_may_end_where_its_features_ended_already(head):
    model = _model(head)
    clip = _clip(model, 1.0)
    with torch.no_grad():
        whole = model(torch.from_numpy(clip.values)[None], 49).weights[0].numpy()
    stream = MotionStream(model)
    made = [stream.push(clip.values).weights, stream.finish(10).weights]
    np.testing.assert_allclose(np.concatenate(made), whole, atol=1e-5)


def test_the_autoregressive_variant_feeds_its_own_frames_back(head):
    model = _model(head, autoregressive=True)
    clip = _clip(model, 0.6)
    frames = 31
    stream = MotionStream(model)
    made = [stream.push(clip.values), stream.finish(frames)]
    ours = torch.from_numpy(np.concatenate([part.weights for part in made]))[None]
    with torch.no_grad():
        again = model(torch.from_numpy(clip.values)[None], frames, truth=ours).weights
    torch.testing.assert_close(again, ours, atol=1e-5, rtol=1e-5)


def test_what_a_stream_remembers_does_not_grow(head):
    model = _model(head)
    stream = MotionStream(model)
    clip = _clip(model, 8.0).values

    def held():
        states = [*stream._lip_states, *stream._expression_states, *stream._decoder_states]
        buffers = [v for v in vars(stream).values() if isinstance(v, torch.Tensor)]
        keys = [s.own.keys for s in states if s.own is not None]
        return sum(tensor.numel() for tensor in [*keys, *buffers])

    sizes = []
    for start in range(0, len(clip), 20):
        stream.push(clip[start : start + 20])
        sizes.append(held())
    assert max(sizes[20:]) <= max(sizes[8:20])


def test_the_first_frame_comes_within_300_ms_of_sound():
    model = SpeechModel(STARTER).eval()
    stream = SpeechStream(model, 25.0)
    taken = 0
    while not len(stream.push(np.zeros((1, 81), np.float32))):
        taken += 1
        assert taken < 100
    # A feature is final 12.5 ms after its centre.
    assert taken * 0.01 + model.config.feature_start + 0.0125 <= 0.3


@pytest.mark.parametrize("fps", [12.0, 23.976, 24000 / 1001, 25.0, 29.97, 50.0, 60.0, 120.0])
@pytest.mark.parametrize("duration", [0.2, 1.0, 3.337])
def test_any_frame_rate_gives_round_duration_times_fps_frames(head, fps, duration):
    model = _model(head)
    motion = infer(model, _clip(model, duration), fps)
    assert len(motion) == max(1, round(duration * fps))


def test_chunks_leave_no_seam(head, monkeypatch):
    model = _model(head)
    clip = _clip(model, 6.0)
    whole = infer(model, clip, 30.0)
    monkeypatch.setattr("engine.motion.model.inference.CHUNK", 0.37)
    chunks = infer(model, clip, 30.0)
    np.testing.assert_allclose(chunks.weights, whole.weights, atol=1e-5)


def test_later_frames_are_those_of_a_later_clip(head):
    model = _model(head)
    clip = _clip(model, 30.0)
    late = AudioFeatures(clip.values[2000:], clip.rate, clip.start, 10.0)
    long = infer(model, clip, 25.0).weights[500 + 50 :]
    np.testing.assert_allclose(infer(model, late, 25.0).weights[50:], long, atol=1e-5)


def test_the_native_rate_is_not_resampled(head):
    model = _model(head)
    clip = _clip(model, 2.0)
    with torch.no_grad():
        whole = model(torch.from_numpy(clip.values)[None], 102).weights[0].numpy()
    np.testing.assert_allclose(infer(model, clip, 50.0).weights, whole[:100], atol=1e-5)


def test_half_the_rate_gives_means_of_neighbouring_frames(head):
    model = _model(head)
    clip = _clip(model, 2.0)
    native = infer(model, clip, 50.0).weights
    before, here, after = native[1:-2:2], native[2:-1:2], native[3::2]
    made = infer(model, clip, 25.0).weights[1:]
    np.testing.assert_allclose(made, 0.25 * before + 0.5 * here + 0.25 * after, atol=1e-5)


def test_what_half_the_rate_cannot_show_is_gone():
    flicker = np.tile(np.float32([[1.0], [-1.0]]), (40, 1))
    made = Resampler(50.0, 25.0, 1).push(flicker, 40, final=True)
    np.testing.assert_allclose(made[1:-1], 0.0, atol=1e-6)


def test_resampling_follows_a_straight_line_exactly():
    line = np.arange(60, dtype=np.float32)[:, None]
    resampler = Resampler(50.0, 23.976, 1)
    made = [resampler.push(line[i : i + 7], 28) for i in range(0, 60, 7)]
    made.append(resampler.push(line[:0], 28, final=True))
    expected = np.arange(28) * 50.0 / 23.976
    inner = np.concatenate(made)[1:-1, 0]
    np.testing.assert_allclose(inner, expected[1:-1], atol=1e-4)


def test_features_of_another_encoder_are_refused(head):
    model = _model(head)
    other = AudioFeatures(np.zeros((50, 768), np.float32), 50.0, 0.0125, 1.0)
    with pytest.raises(BadInputError, match=r"7 numbers.*768"):
        list(frames_of(model, other, 25.0))


def test_another_head_is_refused(head):
    model = _model(replace(head, expression_names=("a", "b")), components=2)
    with pytest.raises(BadInputError, match="2 expressions; 'small' has 6"):
        check_head(model, head)


def test_an_unknown_style_is_refused_by_name(head):
    with pytest.raises(BadInputError, match="grumpy"):
        MotionStream(_model(head), {"grumpy": 1.0})


def test_a_style_out_of_range_is_refused(head):
    with pytest.raises(BadInputError, match="smile is 3"):
        MotionStream(_model(head), {"smile": 3.0})


def test_features_of_another_size_are_refused_by_a_stream(head):
    with pytest.raises(BadInputError, match=r"\(4, 3\)"):
        MotionStream(_model(head)).push(np.zeros((4, 3), np.float32))


def test_a_preview_is_the_clip_as_if_it_ended_there_and_changes_nothing(head):
    model = _model(head)
    rng = np.random.default_rng(5)
    features = rng.normal(size=(300, model.config.features)).astype(np.float32)
    stream, other = SpeechStream(model, 25.0), SpeechStream(model, 25.0)
    given = np.concatenate(
        [stream.push(features[:120]).weights, stream.push(features[120:150]).weights]
    )
    other.push(features[:150])
    whole = infer(model, AudioFeatures(features[:200], 100.0, 0.005, 2.0), 25.0).weights
    preview = stream.preview(features[150:200], 50).weights
    np.testing.assert_allclose(preview, whole[len(given) :], atol=1e-5)
    np.testing.assert_array_equal(stream.preview(features[150:200], 50).weights, preview)
    np.testing.assert_array_equal(
        stream.push(features[150:]).weights, other.push(features[150:]).weights
    )
