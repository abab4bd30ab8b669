# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances by a learned model: what is laid over it, what it takes, and when it is read."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.audio.loading import speech_from_samples
from engine.core.errors import BadInputError
from engine.motion.encoders.base import AudioFeatures
from engine.motion.encoders.phonetic import PhoneticEncoder
from engine.motion.lip_contact import lip_gap
from engine.motion.model.checkpoint import TrainedModel, save_model, set_basis
from engine.motion.model.config import STARTER, for_head
from engine.motion.model.loaded import LoadedModel, loaded_model
from engine.motion.model.network import SpeechModel
from engine.motion.predict import predict
from engine.motion.style import Style
from engine.phonemes import Phone
from engine.recognition.recognizer import RecognizedSpeech
from tests.engine.heads.flame_faces import another_person, facing_backwards, without_names


@pytest.fixture(scope="module")
def loaded(head):
    return LoadedModel(_trained(head), PhoneticEncoder())


def _trained(head, **changes):
    torch.manual_seed(0)
    small = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=4)
    model = SpeechModel(replace(for_head(small, head), **changes)).eval()
    torch.nn.init.normal_(model.mapper.weights.weight, std=0.1)
    set_basis(model, head)
    return TrainedModel(model, "tiny", "default", {})


def _speech(seconds=2.0):
    noise = np.random.default_rng(0).normal(size=round(16_000 * seconds)) * 0.02
    return speech_from_samples(noise.astype(np.float32), 16_000)


def _recognized(seconds=2.0, *phones):
    rng = np.random.default_rng(0)
    frames = round(100 * seconds)
    return RecognizedSpeech(
        phones or (Phone("SIL", 0.0, seconds),),
        rng.normal(-9.0, 3.0, size=(frames, 40)).astype(np.float32),
        rng.random(frames).astype(np.float32),
        ("Noted.",),
    )


def _spoken(loaded, head, seconds=2.0, fps=25.0, recognized=None, **style):
    known = recognized or _recognized(seconds)
    speech = _speech(seconds)
    return predict(speech, head, fps, recognized=known, model=loaded, style=Style(**style))


def test_the_upper_face_is_a_layer_that_can_be_turned_off(head, loaded):
    known = _recognized(8.0, Phone("SIL", 0.0, 1.0), Phone("AA", 1.0, 8.0))
    still = _spoken(loaded, head, 8.0, recognized=known, upper_face=0.0)
    lively = _spoken(loaded, head, 8.0, recognized=known)
    changed = np.abs(lively.weights - still.weights).max(axis=0) > 1e-6
    moved = {name for name, does in zip(head.expression_names, changed, strict=True) if does}
    assert "eyeBlinkLeft" in moved
    assert all(name.startswith(("eye", "brow")) for name in moved)


def test_expression_and_weights_are_the_same(head, loaded):
    made = _spoken(loaded, head)
    np.testing.assert_array_equal(made.expression, made.weights)
    assert made.basis is head.expression_basis
    assert (made.frames, made.model, made.head) == (50, "tiny", "default")


def test_what_recognition_found_goes_into_the_performance(head, loaded):
    known = _recognized()
    made = _spoken(loaded, head, recognized=known)
    assert (made.phones, made.warnings) == (known.phones, ("Noted.",))


@pytest.mark.parametrize("pause", [0.45, 1.2])
def test_the_shipped_model_opens_the_mouth_for_a_breath_not_at_once(head, pause):
    fps, sounds = 60.0, (("SIL", 0.4), ("M", 0.1), ("AA", 0.2), ("M", 0.1), ("SIL", pause))
    phones, now = [], 0.0
    for label, length in (*sounds, ("AY", 0.2), ("SIL", 0.4)):
        phones.append(Phone(label, now, now + length))
        now += length
    heard = replace(_recognized(now, *phones), energy=np.zeros(round(100 * now), np.float32))
    made = predict(_speech(now), head, fps, recognized=heard, model="starter")
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    opening = 1000.0 * gap.apart(made.weights).max(axis=1)
    silence = phones[4]
    within = slice(round((silence.start + 0.1) * fps), round((silence.end - 0.1) * fps))
    speeds = fps * np.diff(opening[within])
    assert opening[within].max() > 3.0
    assert 0.0 < speeds.max() < 100.0  # mm/s; of the rules 75.


class WithoutPhones:
    """An encoder of sound alone, as wav2vec 2.0 is."""

    id, size, rate, start = "plain", 81, 100.0, 0.005

    def encode(self, speech, recognized=None, *, text=None, language=None, progress=None):
        rng = np.random.default_rng(0)
        values = rng.normal(size=(round(100 * speech.duration), 81)).astype(np.float32)
        return AudioFeatures(values, self.rate, self.start, speech.duration)


def test_every_encoders_model_gets_contacts_and_blinks_of_what_was_recognised(head):
    trained = _trained(head)
    with torch.no_grad():
        trained.model.mapper.weights.weight.zero_()
        trained.model.mapper.weights.bias[head.expression_index("jawOpen")] = 0.075
    phones = (Phone("AA", 0.0, 2.0), Phone("M", 2.0, 6.0), Phone("AA", 6.0, 8.0))
    recognized = _recognized(8.0, *phones)
    made = _spoken(LoadedModel(trained, WithoutPhones()), head, 8.0, recognized=recognized)
    closing = column(made, head, "mouthClose")
    assert closing[70:130].min() > 0.05
    assert closing[:40].max() == 0.0
    assert column(made, head, "eyeBlinkLeft").max() > 0.9


def column(made, head, name):
    return made.weights[:, head.expression_index(name)]


def test_the_mouth_rests_where_nobody_speaks_whatever_the_model_says(head, loaded):
    known = _recognized(8.0, Phone("AA", 0.0, 2.0), Phone("SIL", 2.0, 6.0), Phone("AA", 6.0, 8.0))
    made = _spoken(loaded, head, 8.0, recognized=known, upper_face=0.0)
    mouth = [i for i, n in enumerate(head.expression_names) if n.startswith(("jaw", "tongue"))]
    assert np.abs(made.weights[70:120][:, mouth]).max() == 0.0
    assert np.abs(made.weights[:40][:, mouth]).max() > 0.0


def test_the_speakers_amplitude_becomes_the_models_input(head, loaded):
    plain, louder = _spoken(loaded, head), _spoken(loaded, head, jaw=1.5, lips=1.5)
    assert not np.array_equal(plain.weights, louder.weights)
    most = _spoken(loaded, head, jaw=3.0, lips=3.0)
    np.testing.assert_array_equal(louder.weights, most.weights)


def _personal(head, jaw=0.0, size=5, **weights):
    """A model with a basis of its own: mixtures of expressions, and one that no face makes.

    It holds a still face whose jaw is open by ``jaw``, and no other component.
    """
    trained = _trained(head, learned_basis=True, components=size, vertices=head.vertex_count)
    rng = np.random.default_rng(1)
    basis = np.einsum("ke,evc->kvc", rng.normal(size=(size, 52)) * 0.05, head.expression_basis)
    basis[0] = head.expression_basis[head.expression_index("jawOpen")]
    basis[1] = rng.normal(size=basis[1].shape) * 1e-4
    with torch.no_grad():
        trained.model.mapper.basis.copy_(torch.from_numpy(basis))
        trained.model.mapper.weights.weight.mul_(weights.get("moving", 0.0))
        trained.model.mapper.weights.bias[0] = jaw
        trained.model.expression_encoder.expression.weight.zero_()
        trained.model.expression_encoder.expression.bias.zero_()
    return LoadedModel(trained, PhoneticEncoder())


SPOKEN = (Phone("AA", 0.0, 2.0), Phone("M", 2.0, 6.0), Phone("AA", 6.0, 8.0))


def _gap(made, head):
    """(T,) millimetres between the inner lips, by the vertices."""
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    parted = (made.basis[:, upper, 1] - made.basis[:, lower, 1]).astype(np.float64)
    return (made.weights @ parted).max(axis=1) * 1000


def test_a_learned_basis_goes_into_the_performance_as_it_was_learned(head):
    loaded = _personal(head, jaw=0.3, moving=1.0)
    made = _spoken(loaded, head, 1.0, upper_face=0.0)
    np.testing.assert_array_equal(made.basis[:5], loaded.basis)
    assert made.expression.shape == (25, len(head.expression_names))
    motion = loaded.motion(_speech(1.0), _recognized(1.0), 25.0, Style())
    np.testing.assert_array_equal(made.weights[:, :5], motion.weights)


def test_a_learned_basis_takes_no_room_for_what_no_layer_moves(head):
    made = _spoken(_personal(head, jaw=0.3), head, 1.0, upper_face=0.0)
    assert made.weights.shape == (25, 5)


def test_lips_of_a_learned_basis_touch_where_an_m_was_recognised(head):
    known = _recognized(8.0, *SPOKEN)
    made = _spoken(_personal(head, jaw=0.09), head, 8.0, recognized=known, upper_face=0.0)
    gap = _gap(made, head)
    assert gap[70:130].max() < 0.05
    assert gap[:40].min() > 1.5


def test_lips_of_a_learned_basis_that_are_wide_open_stay_so(head):
    known = _recognized(8.0, *SPOKEN)
    gap = _gap(_spoken(_personal(head, jaw=0.6), head, 8.0, recognized=known), head)
    assert gap.min() > 8.0


def test_a_learned_basis_blinks(head):
    made = _spoken(_personal(head), head, 8.0)
    lid = head.expression_basis[head.expression_index("eyeBlinkLeft")]
    vertex = np.linalg.norm(lid, axis=1).argmax()
    moved = np.linalg.norm(made.offsets()[:, vertex], axis=1)
    assert moved.max() > 0.8 * np.linalg.norm(lid[vertex])
    assert made.expression[:, head.expression_index("eyeBlinkLeft")].max() > 0.8


def test_a_learned_basis_is_articulated_and_smiles(head):
    still = _gap(_spoken(_personal(head, jaw=0.3), head, 1.0), head)
    quiet = _gap(_spoken(_personal(head, jaw=0.3), head, 1.0, articulation=0.5), head)
    np.testing.assert_allclose(quiet, still / 2, rtol=0.1)
    smiling = _spoken(_personal(head), head, 1.0, smile=1.0, upper_face=0.0)
    corner = head.landmarks["mouth_corners"]
    assert np.abs(smiling.offsets()[12, corner, 1]).min() > 0.003


@pytest.mark.slow
def test_lips_of_a_head_without_arkit_expressions_touch_too():
    person = another_person()
    mesh = without_names(person)
    mesh = replace(mesh, regions={"lips": person.regions["lips"]})
    small = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=4, learned_basis=True)
    torch.manual_seed(0)
    model = SpeechModel(for_head(replace(small, components=1), mesh)).eval()
    jaw = person.expression_basis[person.expression_index("jawOpen")]
    with torch.no_grad():
        model.mapper.basis.copy_(torch.from_numpy(jaw[None]))
        model.mapper.weights.weight.zero_()
        model.mapper.weights.bias.fill_(0.09)
    loaded = LoadedModel(TrainedModel(model, "tiny", mesh.id, {}), PhoneticEncoder())
    made = _spoken(loaded, mesh, 8.0, recognized=_recognized(8.0, *SPOKEN), upper_face=0.0)
    gap = _gap(made, person)
    assert np.median(gap[70:130]) < 0.4
    assert gap[:40].min() > 1.5
    assert made.expression_names == mesh.expression_names


def test_a_model_of_a_mesh_that_no_face_fits_moves_it_all_the_same(head):
    mesh = facing_backwards(head)
    torch.manual_seed(0)
    small = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=4, learned_basis=True)
    sizes = for_head(replace(small, components=3), replace(mesh, regions={"lips": np.arange(5)}))
    model = SpeechModel(sizes).eval()
    torch.nn.init.normal_(model.mapper.basis, std=1e-3)
    trained = TrainedModel(model, "tiny", mesh.id, {})
    made = _spoken(LoadedModel(trained, PhoneticEncoder()), mesh, 1.0)
    assert made.weights.shape == (25, 3)
    assert made.expression_names == mesh.expression_names
    assert "does not fit this head" in made.warnings[-1]


def test_contacts_of_a_learned_basis_survive_a_style(head):
    known = _recognized(8.0, *SPOKEN)
    model = _personal(head, jaw=0.09)
    for style in ({"smile": 1.0}, {"smile": -1.0}, {"articulation": 2.0}):
        made = _spoken(model, head, 8.0, recognized=known, upper_face=0.0, **style)
        assert _gap(made, head)[70:130].max() < 0.2, style


def test_a_model_file_speaks_for_a_clip(head, loaded, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(path, loaded.trained.model, head, "tiny")
    speech = _speech(1.0)
    made = predict(speech, head, 24.0, model=str(path))
    assert made.frames == 24
    assert made.source_sha256 == speech.sha256


def test_a_model_that_changed_on_disk_is_read_again(head, loaded, tmp_path):
    path = tmp_path / "tiny.safetensors"
    for number, name in enumerate(("first", "second")):
        save_model(path, loaded.trained.model, head, name)
        os.utime(path, (number, number))
        assert loaded_model(path, head).trained.name == name


def test_a_model_that_did_not_change_is_not_read_again(head, loaded, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(path, loaded.trained.model, head, "tiny")
    first = loaded_model(path, head)
    again = loaded_model(path, head)
    assert again.trained is first.trained
    assert again.encoder is first.encoder


def test_a_model_that_is_not_there_is_named(head, tmp_path):
    with pytest.raises(BadInputError, match=r"gone\.safetensors"):
        predict(_speech(1.0), head, 24.0, model=str(tmp_path / "gone.safetensors"))


def test_an_impossible_rate_is_refused_before_any_work(head):
    with pytest.raises(BadInputError, match="frames per second"):
        predict(_speech(1.0), head, 500.0, model="nowhere.safetensors")
