# SPDX-License-Identifier: GPL-3.0-or-later
import random
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.face.prosody import Accent, Prosody, Tone
from engine.motion.performance import Performance
from engine.phonemes import Phone, Word
from tests.fuzz.damage import damage


def make(frames=7, components=3, vertices=5, seed=0):
    rng = np.random.default_rng(seed)
    return Performance(
        fps=23.976,
        weights=rng.random((frames, components), np.float32),
        basis=rng.standard_normal((components, vertices, 3)).astype(np.float32),
        expression=rng.random((frames, 2), np.float32),
        expression_names=("jawOpen", "mouthClose"),
        head="default",
        source_sha256="ab" * 32,
        model="rules",
        phones=(Phone("SIL", 0.0, 0.1), Phone("B", 0.1, 0.25)),
        words=(Word("Bé!", 0.1, 0.25),),
        language="fr",
    )


def test_offsets_are_weights_times_basis():
    performance = make()
    expected = np.einsum("tk,kvc->tvc", performance.weights.astype(np.float64), performance.basis)
    np.testing.assert_allclose(performance.offsets(), expected, atol=1e-5)
    np.testing.assert_array_equal(performance.offsets(2, 4), performance.offsets()[2:4])


def test_chunks_cover_every_frame_once():
    performance = make(frames=10)
    starts, chunks = zip(*performance.offset_chunks(4), strict=True)
    assert starts == (0, 4, 8)
    np.testing.assert_allclose(np.concatenate(chunks), performance.offsets(), atol=1e-6)


@pytest.mark.parametrize("dense", [False, True])
def test_what_is_saved_loads_bit_for_bit(tmp_path, dense):
    performance = make()
    performance.save(tmp_path / "a.performance.npz", dense=dense)
    loaded = Performance.load(tmp_path / "a.performance.npz")
    for name in ("weights", "basis", "expression"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(performance, name))
    for name in (
        *("fps", "expression_names", "head", "source_sha256", "model", "phones", "words"),
        "language",
    ):
        assert getattr(loaded, name) == getattr(performance, name)


def test_minutes_of_phones_and_words_load_again(tmp_path):
    phones = tuple(Phone("AA", i / 10, (i + 1) / 10) for i in range(3000))
    words = tuple(Word("word", i / 10, (i + 1) / 10) for i in range(3000))
    performance = replace(make(), phones=phones, words=words)
    performance.save(tmp_path / "a.performance.npz")
    loaded = Performance.load(tmp_path / "a.performance.npz")
    assert (loaded.phones, loaded.words) == (phones, words)


def test_a_file_from_before_there_were_words_loads(tmp_path):
    make().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as data:
        older = {name: data[name] for name in data.files if name not in ("words", "language")}
    np.savez(tmp_path / "older.npz", **older)
    loaded = Performance.load(tmp_path / "older.npz")
    assert (loaded.words, loaded.language) == ((), "")
    assert loaded.phones == make().phones


def test_dense_files_hold_the_offsets_for_plain_numpy(tmp_path):
    performance = make(frames=130)
    performance.save(tmp_path / "a.npz", dense=True)
    with np.load(tmp_path / "a.npz") as data:
        np.testing.assert_allclose(data["offsets"], performance.offsets(), atol=1e-6)


def test_saving_dense_offsets_does_not_hold_them_in_memory(tmp_path):
    performance = make(frames=4000, components=2, vertices=1000)
    whole = 4000 * 1000 * 3 * 4
    tracemalloc.start()
    performance.save(tmp_path / "a.npz", dense=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < whole / 4


def test_arrays_that_do_not_fit_are_refused():
    good = make()
    with pytest.raises(BadInputError, match="basis has shape"):
        Performance(
            25.0, good.weights, good.basis[:2], good.expression, good.expression_names, "default"
        )
    with pytest.raises(BadInputError, match="7 frames and 1 names"):
        Performance(25.0, good.weights, good.basis, good.expression, ("jawOpen",), "default")


def test_nan_is_refused():
    good = make()
    weights = good.weights.copy()
    weights[3, 1] = np.nan
    with pytest.raises(BadInputError, match="weights"):
        Performance(25.0, weights, good.basis, good.expression, good.expression_names, "default")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"nothing\.npz"):
        Performance.load(tmp_path / "nothing.npz")


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    make().save(path)
    data = path.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 5):
        path.write_bytes(data[:size])
        with pytest.raises(BadInputError, match=r"a\.npz"):
            Performance.load(path)


def test_another_archive_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.zeros((2, 2)))
    with pytest.raises(BadInputError, match="not a GaussianSpeech performance"):
        Performance.load(tmp_path / "other.npz")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "evil.npz", format=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInputError):
        Performance.load(tmp_path / "evil.npz")


def changed(path, **changes):
    """A sound file with other arrays; ``None`` takes one away."""
    make().save(path)
    with np.load(path) as data:
        arrays = dict(data) | changes
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


@pytest.mark.parametrize(
    "changes",
    [{"fps": np.array(value)} for value in (np.nan, np.inf, 0.0, -25.0, 1e9, "25", 25j)]
    + [{"fps": np.array([25.0])}, {"fps": None}]
    + [
        {"weights": np.float32(1)},
        {"weights": np.zeros((7, 3), bool)},
        {"weights": np.full((7, 3), np.nan)},
        {"weights": np.full((7, 3), 1e300)},
        {"weights": np.full((7, 3), 3e38, np.float32), "basis": np.full((3, 5, 3), 9, np.float32)},
        {"basis": np.zeros((3, 5))},
        {"expression_names": np.zeros((10**6, 0))},
        {"expression_names": np.array([1, 2])},
        {"head": np.array(["default"])},
        {"format": np.array("x" * 5000)},
        {"phones": np.array("[[")},
        {"phones": np.array("[" * 100_000)},
        {"phones": np.array("{}")},
        {"phones": np.array('[["B", 0]]')},
        {"phones": np.array('[["B", NaN, 1]]')},
        {"phones": np.array('[["B", 1e999, 1]]')},
        {"phones": np.array('[["B", "0", 1]]')},
        {"phones": np.array("[[[], 0, 1]]")},
        {"prosody": np.array("{")},
        {"prosody": np.array('{"accents": [[1, %s]], "tones": []}' % ("9" * 400))},
        {"prosody": np.array('{"accents": 3}')},
    ],
    ids=lambda changes: repr(changes)[:60],
)
def test_contents_that_cannot_be_played_are_refused_in_a_line(tmp_path, changes):
    path = changed(tmp_path / "a.npz", **changes)
    with pytest.raises(BadInputError, match=r"a\.npz") as caught:
        Performance.load(path)
    assert len(caught.value.message) <= 300


def test_a_small_file_does_not_become_a_large_one(tmp_path):
    path = changed(tmp_path / "a.npz", weights=np.zeros((100_000, 300), np.float32))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError, match="unpacks to more"):
            Performance.load(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_dense_offsets_are_not_unpacked(tmp_path):
    path = changed(tmp_path / "a.npz", offsets=np.zeros((100_000, 300), np.float32))
    assert Performance.load(path).frames == 7


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_ends_in_a_performance_or_a_line(tmp_path, seed):
    path = tmp_path / "a.npz"
    np.savez(path, **dict(np.load(changed(path))))
    path.write_bytes(damage(path.read_bytes(), random.Random(seed)))
    try:
        message = str(Performance.load(path).fps)
    except BadInputError as error:
        message = error.message
    assert len(message) <= 300


def test_the_heads_rotation_and_the_prosody_are_kept(tmp_path):
    turned = np.linspace(0, 0.1, 4 * 3, dtype=np.float32).reshape(4, 3)
    prosody = Prosody((Accent(0.5, 0.25),), (Tone(0.0, 1.0, -0.5, 0.125),))
    made = replace(make(frames=4), head_rotation=turned, prosody=prosody)
    made.save(tmp_path / "a.npz")
    loaded = Performance.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.head_rotation, turned)
    assert loaded.prosody == prosody
    np.testing.assert_array_equal(loaded.still(2).head_rotation, turned[2:3])


@pytest.mark.parametrize("dense", [False, True])
def test_the_same_performance_gives_the_same_bytes_at_any_time(tmp_path, monkeypatch, dense):
    for name, second in (("a", 1_000_000_000), ("b", 1_500_000_000)):
        monkeypatch.setattr("zipfile.time.time", lambda second=second: float(second))
        make().save(tmp_path / f"{name}.npz", dense=dense)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_an_older_file_has_a_still_head(tmp_path):
    make(frames=4).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        arrays = {name: file[name] for name in file.files if name != "prosody"}
    assert "head_rotation" not in arrays
    np.savez(tmp_path / "b.npz", **arrays)
    loaded = Performance.load(tmp_path / "b.npz")
    assert loaded.head_rotation.shape == (4, 3)
    assert not loaded.head_rotation.any()
    assert loaded.prosody == Prosody()


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.zeros((4, 2)), np.full((4, 3), np.nan)])
def test_a_rotation_that_does_not_fit_is_refused(bad):
    with pytest.raises(BadInputError, match="head"):
        replace(make(frames=4), head_rotation=bad.astype(np.float32))
