# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from engine.audio.loading import Speech
from engine.core.errors import BadInputError, CancelledError
from engine.heads import load_head
from engine.heads import retarget as retargeting
from engine.heads.anatomy import anatomy
from engine.heads.retarget import has_arkit_visemes, retargeted_head, with_arkit_expressions
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.performance import Performance
from engine.motion.retargeting import retarget
from engine.phonemes import Phone
from tests.engine.heads.flame_faces import (
    another_person,
    facing_backwards,
    flame_dressed,
    without_names,
)
from tests.engine.heads.flame_files import write_flame_pickle
from tests.engine.motion.known_phones import perform
from training.cli import main
from training.data.speech import find_speech, load_aligned_speech
from training.metrics.lip_sync import combined, lip_sync

MM = 1000.0
PHONES = (
    Phone("SIL", 0, 0.3),
    Phone("M", 0.3, 0.4),
    Phone("AA", 0.4, 0.7),
    Phone("P", 0.7, 0.8),
    Phone("SIL", 0.8, 1),
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder of registrations, not the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retargeting, "cache_folder", lambda: folder)
        yield folder


@pytest.fixture(scope="module")
def flame(kept, tmp_path_factory):
    """A FLAME file of another person, registered once, and how that person really moves."""
    person = another_person()
    arrays, vertices = flame_dressed(person)
    path = tmp_path_factory.mktemp("flame") / "flame.pkl"
    write_flame_pickle(path, arrays)
    head = load_head(path)
    reported = []
    made = with_arkit_expressions(head, progress=lambda fraction, _: reported.append(fraction))
    truth = person.expression_basis[:, vertices]
    return SimpleNamespace(
        path=path,
        head=head,
        made=made,
        reported=reported,
        truth=truth,
        vertices=vertices,
        person=person,
    )


def moved(flame, name, region):
    """Offsets of an expression on the vertices of a region of the person that FLAME has too."""
    here = np.flatnonzero(np.isin(flame.vertices, flame.person.regions[region]))
    return flame.made.expression_basis[flame.made.expression_index(name), here]


def clip(seconds=1.0):
    times = np.arange(int(16_000 * seconds)) / 16_000
    return Speech((0.3 * np.sin(2 * np.pi * 150 * times)).astype(np.float32), seconds, "abc")


def test_flame_cannot_speak_by_its_jaw_alone(flame):
    assert "jawOpen" in flame.head.expression_names
    assert not has_arkit_visemes(flame.head)
    assert has_arkit_visemes(flame.made)
    assert set(flame.made.expression_names) == set(ARKIT_NAMES)
    assert flame.made.id == flame.head.id


def test_a_head_with_arkit_mouth_shapes_stays_as_it_is():
    head = load_head("default")
    assert with_arkit_expressions(head) is head


@pytest.mark.parametrize(
    ("region", "bound"), [("face", 0.15), ("lips", 0.3), ("eyelids", 0.06), ("neck", 0.12)]
)
def test_another_person_moves_as_that_person_does(flame, region, bound):
    here = np.flatnonzero(np.isin(flame.vertices, flame.person.regions[region]))
    found = flame.made.expression_basis[:, here]
    error = np.linalg.norm(found - flame.truth[:, here], axis=2).mean() * MM
    assert error < bound
    assert error < 0.3 * np.linalg.norm(flame.truth[:, here], axis=2).mean() * MM


def test_a_head_of_the_same_shape_moves_the_same(kept):
    head = load_head("default")
    basis = retargeted_head(head, without_names(head)).expression_basis
    assert basis.dtype == np.float32
    error = np.linalg.norm(basis - head.expression_basis, axis=2)
    assert error[:, head.regions["face"]].mean() * MM < 0.2
    assert error[:, head.regions["tongue"]].mean() * MM < 0.2


def test_upper_and_lower_lip_never_mix(flame):
    jaw = flame.made.expression_basis[flame.made.expression_index("jawOpen"), :, 1] * MM
    upper = jaw[flame.made.landmarks["inner_lip_upper"]]
    lower = jaw[flame.made.landmarks["inner_lip_lower"]]
    assert (upper - lower).min() > 12.0
    assert np.abs(upper[len(upper) // 3 : -(len(upper) // 3)]).max() < 2.0


def test_lower_teeth_follow_the_jaw_as_a_rigid_body(flame):
    teeth = flame.made.template[flame.made.regions["lower_teeth"]]
    opened = flame.made.expression_basis[flame.made.expression_index("jawOpen")]
    after = teeth + opened[flame.made.regions["lower_teeth"]]

    def sizes(points):
        return np.linalg.norm(points[:, None] - points[None], axis=2)

    assert np.allclose(sizes(teeth), sizes(after), atol=1e-5)
    chin = opened[flame.made.landmarks["chin"][0]]
    assert 0.5 < np.linalg.norm((after - teeth)[30]) / np.linalg.norm(chin) < 1.1
    assert np.abs(opened[flame.made.regions["upper_teeth"]]).max() == 0.0


def test_eyeballs_turn_about_their_joints(flame):
    side = flame.head.regions["left_eyeball"]
    centre = flame.head.skeleton.positions[flame.head.skeleton.names.index("left_eye")]
    looking = flame.made.expression_basis[flame.made.expression_index("eyeLookInLeft"), side]
    before = np.linalg.norm(flame.head.template[side] - centre, axis=1)
    after = np.linalg.norm(flame.head.template[side] + looking - centre, axis=1)
    assert np.allclose(before, after, atol=1e-5)
    # The left eye's inside is the person's right, −X.
    assert looking[flame.head.template[side, 2].argmax(), 0] * MM < -1.0


def test_what_is_not_the_face_stays_still(flame):
    for name in ("mouthSmileLeft", "mouthPucker", "browInnerUp", "jawOpen"):
        assert np.abs(moved(flame, name, "scalp")).max() * MM < 1.0
        assert np.abs(moved(flame, name, "ears")).mean() * MM < 0.1


def test_registration_reports_how_far_it_is(flame):
    assert flame.reported == sorted(flame.reported)
    assert len(flame.reported) > 50
    assert flame.reported[-1] == 1.0


def test_a_registration_is_made_once(flame, kept, monkeypatch):
    def never(*_arguments, **_options):
        pytest.fail("the heads were registered again")

    monkeypatch.setattr(retargeting, "register", never)
    again = retargeted_head(load_head("default"), load_head(flame.path)).expression_basis
    assert np.array_equal(again, flame.made.expression_basis)


def test_a_damaged_registration_is_made_anew(flame, kept, monkeypatch):
    def asked(*_arguments, **_options):
        raise CancelledError

    monkeypatch.setattr(retargeting, "register", asked)
    whole = {path: path.read_bytes() for path in (kept / "retarget").iterdir()}
    try:
        for path, content in whole.items():
            path.write_bytes(content[:1000])
        with pytest.raises(CancelledError):
            retargeted_head(load_head("default"), load_head(flame.path))
    finally:
        for path, content in whole.items():
            path.write_bytes(content)


def test_registration_can_be_cancelled(kept):
    def cancel(_fraction, _message):
        raise CancelledError

    head = load_head("default")
    longer = replace(without_names(head), template=head.template * np.float32(1.01))
    with pytest.raises(CancelledError):
        with_arkit_expressions(longer, progress=cancel)


def test_a_head_that_looks_the_other_way_is_refused(kept):
    head = facing_backwards(load_head("default"))
    with pytest.raises(BadInputError, match=r"'backwards': it stays .* mm away") as refused:
        perform(PHONES, clip(), head, 25.0)
    assert "+Z" in refused.value.hint


def test_a_mesh_without_a_face_is_refused(kept):
    head = without_names(load_head("default"))
    with pytest.raises(BadInputError, match="no face"):
        with_arkit_expressions(replace(head, faces=head.faces[:20]))


def test_the_slit_is_found_without_knowledge_of_the_jaw():
    head = load_head("default")
    named, found = anatomy(head), anatomy(without_names(head))
    assert np.allclose(named.slit.corners, found.slit.corners, atol=0.002)
    both = (named.surface.sides != 0) & (found.surface.sides != 0)
    assert both.sum() > 100
    assert np.array_equal(named.surface.sides[both], found.surface.sides[both])


def test_lips_and_teeth_meet_on_flame_as_on_the_default_head(flame, recordings, of_people):
    clips = [load_aligned_speech(file) for file in find_speech([recordings])]
    results = [
        combined(
            [
                lip_sync(
                    perform(clip.phones, clip.speech, head, 25.0),
                    measured,
                    clip.phones,
                )
                for clip in clips
            ]
        )
        for head, measured in (
            (flame.head, flame.made),
            (load_head("default"), load_head("default")),
        )
    ]
    ours, default = results
    assert ours.closure_rate == 1.0
    assert ours.false_closure_rate == 0.0
    assert ours.contact_rate >= (1.0 if of_people else 0.75)
    assert ours.overlap < 0.5
    assert ours.rounding_contrast > 0.8 * default.rounding_contrast
    assert 0.7 * default.open_gap < ours.open_gap < 1.4 * default.open_gap


def test_a_saved_performance_comes_out_as_one_made_for_the_head(flame):
    head = load_head("default")
    carried = retarget(perform(PHONES, clip(), head, 25.0), head, flame.head)
    made = perform(PHONES, clip(), flame.head, 25.0)
    assert carried.head == flame.head.id
    assert carried.expression_names == made.expression_names
    assert np.allclose(carried.weights, made.weights, atol=1e-5)
    assert np.array_equal(carried.basis, made.basis)


def test_a_performance_of_flame_comes_back_to_the_default_head(flame):
    head = load_head("default")
    carried = retarget(perform(PHONES, clip(), flame.head, 25.0), flame.head, head)
    made = perform(PHONES, clip(), head, 25.0)
    assert carried.head == "default"
    assert np.allclose(carried.weights, made.weights, atol=1e-5)
    assert np.array_equal(carried.basis, head.expression_basis)


def test_a_performance_with_a_basis_of_its_own_is_carried_too(flame):
    head = load_head("default")
    made = perform(PHONES, clip(), head, 25.0)
    doubled = replace(made, weights=made.weights[:, :3], basis=2 * head.expression_basis[:3])
    carried = retarget(doubled, head, flame.head)
    assert np.allclose(carried.basis, 2 * flame.made.expression_basis[:3], atol=1e-4)
    assert np.array_equal(carried.weights, doubled.weights)
    assert np.array_equal(carried.expression, doubled.expression)


def test_a_performance_of_another_head_is_refused(flame):
    head = load_head("default")
    made = perform(PHONES, clip(), head, 25.0)
    with pytest.raises(BadInputError, match="'somebody'"):
        retarget(replace(made, head="somebody"), head, flame.head)


def test_the_command_writes_the_performance_for_the_head(flame, tmp_path, capsys):
    head = load_head("default")
    perform(PHONES, clip(), head, 25.0).save(tmp_path / "talk.performance.npz")
    out = tmp_path / "flame.performance.npz"
    arguments = ["retarget", str(tmp_path / "talk.performance.npz"), "--head", str(flame.path)]
    assert main([*arguments, "--out", str(out)]) == 0
    carried = Performance.load(out)
    assert (carried.head, carried.vertex_count) == (flame.head.id, 5143)
    assert flame.head.id in capsys.readouterr().out


def test_the_command_wants_a_performance_as_result(flame, tmp_path, capsys):
    arguments = ["retarget", str(tmp_path / "talk.performance.npz"), "--head", str(flame.path)]
    assert main([*arguments, "--out", str(tmp_path / "talk.mp4")]) == 2
    assert "performance.npz" in capsys.readouterr().err


def test_the_command_asks_for_the_file_of_another_source(flame, tmp_path, capsys):
    talk = tmp_path / "talk.performance.npz"
    perform(PHONES, clip(), flame.head, 25.0).save(talk)
    arguments = ["retarget", str(talk), "--head", "default", "--out", str(tmp_path / "o.npz")]
    assert main(arguments) == 2
    assert "--source" in capsys.readouterr().err
    assert main([*arguments, "--source", str(flame.path)]) == 0
    assert Performance.load(tmp_path / "o.npz").head == "default"
