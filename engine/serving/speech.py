# SPDX-License-Identifier: GPL-3.0-or-later
"""``speech.predict``, ``performance.load`` and ``performance.flame``."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject
from engine.core.progress import Progress, subprogress
from engine.motion.model.ids import DEFAULT
from engine.recognition.ids import DEFAULT as RECOGNIZER
from engine.recognition.text_file import Cue, shifted
from engine.serving.cache import Heads
from engine.serving.recognitions import Recognitions
from engine.serving.request import Reply, Request

if TYPE_CHECKING:
    from engine.audio.loading import Speech
    from engine.heads.head import Head
    from engine.motion.performance import Performance
    from engine.recognition.segmentation import Segmentation

DEFAULT_TOLERANCE_MM = 0.1
"""Largest vertex error of the editable shape keys, millimetres."""

_LOADED, _PREDICTED, _FITTED = 0.1, 0.8, 0.98


class SpeechMethods:
    """Methods about performances.

    Args:
        heads: the loaded ones.
    """

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._recognitions = Recognitions()

    def predict(self, request: Request) -> Reply:
        """From a file, a stretch of it or samples to shape-key values."""
        from engine.motion.predict import predict

        params, progress = request.params, request.progress
        head_name = params.text("head", "default")
        fps = params.number("fps")
        text, given = _text(params), _given(params)
        language = params.text("language", None)
        recognizer = params.text("recognizer", RECOGNIZER)
        model = params.text("model", DEFAULT)
        tolerance = params.number("tolerance_mm", DEFAULT_TOLERANCE_MM)
        save, rig = params.text("save", None), params.flag("rig", default=False)
        start = params.number("start", 0.0)
        speech = _load(request, subprogress(progress, 0.0, _LOADED))
        params.no_others()
        head = self._heads.get(head_name)
        said = text if isinstance(text, str) else shifted(text, start, speech.duration)
        language = language or None
        recognized = self._recognitions.of(speech, said, language, recognizer)
        performance = predict(
            speech,
            head,
            fps,
            text=said,
            recognized=recognized if given is None else None,
            given=None if given is None else given.stretch(start, speech.duration),
            language=language,
            recognizer=recognizer,
            model=model,
            progress=subprogress(progress, _LOADED, _PREDICTED),
        )
        step = subprogress(progress, _PREDICTED, _FITTED)
        reply = _shape_keys(performance, head, tolerance, step, rig=rig)
        if save:
            performance.save(save)
        return Reply(
            reply.body | {"performance": save, "warnings": list(performance.warnings)}, reply.arrays
        )

    def load(self, request: Request) -> Reply:
        """From a file of motion to shape-key values."""
        from engine.avatar.motion_file import read_motion
        from engine.heads.registry import flame_param_of_file
        from engine.motion.sound_offset import in_time_of

        params, progress = request.params, request.progress
        path, name = params.text("path", None), params.text("name", "motion.performance.npz")
        head_name = params.text("head", None)
        tolerance = params.number("tolerance_mm", DEFAULT_TOLERANCE_MM)
        rig = params.flag("rig", default=False)
        fps, rate = (params.number(key, None, low=1.0, high=1000.0) for key in ("fps", "rate"))
        sound, sound_name = params.text("sound", None), params.text("sound_name", "sound.wav")
        offset = params.number("offset", None, low=-3600.0, high=3600.0)
        params.no_others()
        timing: dict[str, float] = {}
        step = subprogress(progress, 0.0, _LOADED)
        with _sent_file(request, "motion_file", name) as sent:
            file = path if sent is None else str(sent)
            if file is None:
                raise BadInputError("performance.load needs 'path' or the array 'motion_file'.")
            of_itself = flame_param_of_file(Path(file)) is not None
            near = head_name or (file if of_itself else "default")
            head = self._heads.get(near)
            performance = read_motion(file, head, near, fps, rate=rate, progress=step)
        with _sent_file(request, "sound_file", sound_name) as sent:
            spoken = sound if sent is None else str(sent)
            if spoken is None and offset is not None:
                raise BadInputError("An offset is of a sound.", "Choose the sound, too.")
            if spoken is not None:
                step = subprogress(progress, _LOADED, _PREDICTED)
                performance, timing = in_time_of(
                    spoken, performance, head, offset=offset, progress=step
                )
        step = subprogress(progress, _PREDICTED if timing else _LOADED, _FITTED)
        reply = _shape_keys(performance, head, tolerance, step, rig=rig)
        return Reply(reply.body | {"performance": path, "warnings": []} | timing, reply.arrays)

    def flame(self, request: Request) -> Reply:
        """From a performance of a FLAME head to FLAME's parameters, in a file."""
        from engine.avatar.flame_param import flame_param_of
        from engine.heads.flame_param import save_flame_param
        from engine.motion.performance import Performance

        params = request.params
        path, out, near = params.text("path"), params.text("out"), params.text("head")
        head = self._heads.get(near)
        params.no_others()
        request.progress(0.0, "reading the performance")
        param, error = flame_param_of(Performance.load(path), head, near)
        save_flame_param(param, out)
        return Reply({"flame_param": out, "frames": param.frames, "vertex_error_m": error})


def _text(params: JsonObject) -> str | tuple[Cue, ...]:
    """What is said: a text, or the cues of a subtitle file in the time of the whole sound."""
    text = params.text("text", None) or ""
    if "cues" not in params:
        return str(text)
    if text:
        raise BadInputError("Both 'text' and 'cues' were given.", "Give one of them.")
    return tuple(
        Cue(
            cue.text("text"),
            cue.number("start", -math.inf),
            cue.number("end", math.inf),
        )
        for cue in params.groups("cues")
    )


def _given(params: JsonObject) -> Segmentation | None:
    """Phones and words whose times are known, in the time of the whole sound."""
    from engine.recognition.segmentation import segmentation

    phones, words = params.timed("phones"), params.timed("words")
    return segmentation(phones, words) if "phones" in params or "words" in params else None


def _load(request: Request, progress: Progress) -> Speech:
    from engine.audio.loading import load_speech, speech_from_samples

    params = request.params
    audio = params.text("audio", None)
    rate = params.number("rate", None)
    start, duration = params.number("start", 0.0), params.number("duration", None)
    name = params.text("audio_name", "audio")
    if audio is not None:
        return load_speech(audio, start, duration, progress)
    with _sent_file(request, "audio_file", name) as sent:
        if sent is not None:
            return load_speech(sent, start, duration, progress)
    if "samples" not in request.arrays or rate is None:
        raise BadInputError(
            f"{request.method} needs 'audio', the array 'audio_file', or 'samples' with 'rate'."
        )
    return speech_from_samples(request.arrays["samples"], rate)


@contextmanager
def _sent_file(request: Request, array: str, name: str) -> Iterator[Path | None]:
    """A file that came as an array, for the time of a block; ``None`` where none came."""
    if array not in request.arrays:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="gaussianspeech-") as folder:
        path = Path(folder, _file_name(name))
        path.write_bytes(request.arrays[array].tobytes())
        yield path


def _file_name(name: str) -> str:
    """A name that stands in messages and whose suffix gives the format, safe as a file's."""
    return re.sub(r"[^\w. -]", "_", name)[-80:].strip(". ") or "audio"


def _shape_keys(
    performance: Performance, head: Head, tolerance_mm: float, progress: Progress, *, rig: bool
) -> Reply:
    """A performance as shape keys; with ``rig`` those of the mesh that joints skin, and these."""
    from engine.motion.shape_keys import fit_shape_keys, key_bounds
    from engine.motion.unposed import unposed

    progress(0.0, "fitting the shape keys")
    joints = {}
    turned_by = "root" if performance.pose is not None else "neck"
    if rig:
        performance, pose = unposed(performance, head)
        joints = {"joint_rotation": pose.rotation, "joint_location": pose.location}
    fit = fit_shape_keys(performance, head, tolerance_mm=tolerance_mm, progress=progress)
    return Reply(
        {
            "frames": performance.frames,
            "fps": performance.fps,
            "head": performance.head,
            "model": performance.model,
            "phones": [list(phone) for phone in performance.phones],
            "words": [list(word) for word in performance.words],
            "language": performance.language,
            "key_names": list(fit.key_names),
            "key_ranges": key_bounds(head).T.tolist() + [[-1.0, 1.0]] * len(fit.corrective_deltas),
            "max_error_mm": fit.max_error_mm,
            "source_sha256": performance.source_sha256,
            "lip_pairs": [
                [int(vertex) for vertex in head.landmarks.get(f"inner_lip_{side}", ())]
                for side in ("upper", "lower")
            ],
            "prosody": performance.prosody.to_json(),
            "neck": head.neck.tolist(),
            "eyes": head.eyes.tolist(),
            "turned_by": turned_by,
            "joints": list(head.skeleton.names),
        },
        {
            "key_values": fit.key_values,
            "corrective_deltas": fit.corrective_deltas,
            "head_rotation": performance.head_rotation,
            **joints,
        },
    )
