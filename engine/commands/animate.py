# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech animate``: speech in, a performance out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from engine.commands.console import (
    EXIT_BAD_INPUT,
    existing_folder,
    print_error,
    print_result,
    print_warnings,
    progress_bar,
)
from engine.commands.speaker import Speaker, choose_speaker
from engine.core.errors import BadInputError
from engine.core.progress import Progress, subprogress
from engine.motion.face.emotion_curve import read_emotion_curve
from engine.motion.interchange.curve_files import is_curve_file, write_curves
from engine.motion.interchange.face_curves import curves_of
from engine.motion.performance import Performance
from engine.motion.style import Style
from engine.recognition.ids import DEFAULT as RECOGNIZER
from engine.recognition.text_file import Cue, read_text_file

if TYPE_CHECKING:
    from engine.commands.characters import SpeakingCharacter
    from engine.recognition.segmentation import Segmentation

Emotion = Literal["neutral", "joy", "anger", "sadness", "fear", "disgust", "surprise", "auto"]


def animate(
    audio: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path,
    *,
    head: str | None = None,
    avatar: str | None = None,
    person: str | None = None,
    character: Path | None = None,
    mapping: Path | None = None,
    speech_model: str | None = None,
    fps: float = 25.0,
    text: str | None = None,
    text_file: Path | None = None,
    phones: Path | None = None,
    language: str | None = None,
    recognizer: str = RECOGNIZER,
    articulation: float = 1.0,
    smile: float = 0.0,
    upper_face: float = 1.0,
    gaze: float = 0.0,
    gaze_target: tuple[float, float] = (0.0, 0.0),
    head_motion: float = 0.0,
    emotion: Emotion = "neutral",
    emotion_amount: float = 1.0,
    emotion_curve: Path | None = None,
    seed: int = 0,
    rest: float = 1.0,
    dense: bool = False,
    json: bool = False,
) -> int:
    """Make a head speak: writes OUT/<name>.performance.npz for every audio file.

    Where OUT ends in .csv or .json, it is one file of ARKit weights instead: as Live Link Face
    records them, or as JSON. With --character the character's file, its shape keys and bones
    animated, is written as OUT, or into it.

    Args:
        audio: WAV, FLAC, OGG, MP3 and what else FFmpeg reads; mono or stereo, 8 to 96 kHz, 0.2 s to
            one hour.
        out: folder for the results, or OUT.csv or OUT.json; with --character also a file: OUT.glb,
            .vrm, .fbx or .blend.
        head: "default", a FLAME file (.pkl, .npz), or a mesh of your own (.obj, .ply, .glb;
            FILE.glb#MESH of several); with --avatar or --person, the file that the avatar's head
            is made from, such as the FLAME model, where it is not found by itself.
        avatar: an avatar file, in place of a head: who speaks is its head.
        person: a person's folder: who speaks is its head, with its speech model.
        character: a file that speaks by the shape keys and bones in it: .glb, .gltf or .vrm; .blend
            or .fbx with the 'blender' extra.
        mapping: what its shape keys and bones show, a file of the panel or of 'export mapping';
            their names say it without.
        speech_model: "corrected", "rules", "starter" (learned), or a trained model's file; that
            of the person by default, where it has one.
        fps: frames per second, 12 to 120, for example 24, 23.976 or 60.
        text: what is said; makes the lip sync more exact.
        text_file: a file with what is said, instead of --text: .txt, or subtitles with times, .srt
            or .vtt.
        phones: when each sound is spoken, where that is known, instead of recognising it: a
            TextGrid, a .phones.json, or, for several recordings, a folder of such, each named as
            its recording.
        language: what is spoken, for example "en"; found out by default.
        recognizer: what writes down speech without a text: "auto", a Whisper model ("tiny.en",
            "base", "small", a folder), or "phones" for sounds without words.
        articulation: how strongly jaw and lips articulate, 0 to 2.
        smile: -1 frowns, 1 smiles; lips still close.
        upper_face: how much eyes blink and brows move, 0 to 2.
        gaze: how much the eyes look about and away, 0 to 2; 0 keeps them still.
        gaze_target: where the camera, or who is spoken to, stands: degrees to the head's left, and
            up.
        head_motion: how much the head nods and sways, 0 to 2; 0 keeps it still.
        emotion: a feeling all the way through; auto follows the voice's loudness, pitch and tempo.
        emotion_amount: how strongly it shows, 0 to 1.
        emotion_curve: a CSV file of emotions over time: a line with "seconds" and emotions, a line
            of amounts from 0 to 1 for each key.
        seed: blinks, brows, gaze and head of another take.
        rest: how closed the mouth is in long silences: 0 half open, 1 lips touching.
        dense: also store the offsets of every vertex of every frame.
        json: print the results as JSON, one object a file.
    """
    _check_names(audio)
    speaking, folder = _outputs(character, mapping, out, len(audio), dense=dense)
    transcript = _transcript(text, text_file, phones)
    given = None if phones is None else _given(audio, phones)
    style = Style(
        articulation,
        smile,
        upper_face,
        seed,
        rest=rest,
        gaze=gaze,
        gaze_target=gaze_target,
        head_motion=head_motion,
        emotion=emotion,
        emotion_amount=emotion_amount,
        emotion_keys=() if emotion_curve is None else read_emotion_curve(emotion_curve),
    )
    who = choose_speaker(head, avatar, person, speech_model)
    if folder is not None and not is_curve_file(folder):
        existing_folder(folder)
    failed = 0
    for path in audio:
        try:
            with progress_bar(path.name) as progress:
                result, warnings = _animate_one(
                    path,
                    None if folder is None else _target(folder, path),
                    speaking,
                    who=who,
                    fps=fps,
                    text=transcript,
                    given=None if given is None else given[path],
                    language=language,
                    recognizer=recognizer,
                    style=style,
                    dense=dense,
                    progress=progress,
                )
        except BadInputError as error:
            failed += 1
            print_error(error)
            continue
        print_warnings(warnings)
        print_result(result, as_json=json)
    if speaking is not None and failed < len(audio):
        facts, left_out = speaking.write()
        print_warnings(left_out)
        print_result(facts, as_json=json)
    return EXIT_BAD_INPUT if failed else 0


def _outputs(
    character: Path | None, mapping: Path | None, out: Path, audio_files: int, *, dense: bool
) -> tuple[SpeakingCharacter | None, Path | None]:
    """The character that speaks, and what performances go to, where there are such.

    That is a folder, or a file of the curves of one recording.
    """
    if character is None:
        if mapping is not None:
            raise BadInputError(f"{mapping} maps no character.", "Name one with --character.")
        if is_curve_file(out) and audio_files > 1:
            raise BadInputError(f"{out} is one file for {audio_files} of audio.", "Name a folder.")
        return None, out
    # Deferred: only files of characters need their readers.
    from engine.commands.characters import SpeakingCharacter, is_character_file

    if is_curve_file(out):
        raise BadInputError(f"{out} holds no character.", "Name a folder, or OUT.glb.")
    if not is_character_file(out):
        return SpeakingCharacter(character, mapping, out / character.name), out
    if dense:
        raise BadInputError(f"{out} holds no offsets.", "Give a folder with --out, or no --dense.")
    return SpeakingCharacter(character, mapping, out), None


def _animate_one(
    path: Path,
    target: Path | None,
    speaking: SpeakingCharacter | None,
    *,
    who: Speaker,
    fps: float,
    text: str | tuple[Cue, ...] | None,
    given: Segmentation | None,
    language: str | None,
    recognizer: str,
    style: Style,
    dense: bool,
    progress: Progress,
) -> tuple[dict[str, object], list[str]]:
    from engine.audio.loading import load_speech
    from engine.motion.predict import predict

    progress(0.0, "loading")
    speech = load_speech(path)
    prediction = predict(
        speech,
        who.head,
        fps,
        text=text,
        given=given,
        language=language,
        recognizer=recognizer,
        model=who.model,
        style=style,
        progress=subprogress(progress, 0.02, 0.95),
    )
    progress(0.95, "saving")
    saved: dict[str, object] = {} if target is None else _save(prediction, target, dense=dense)
    if speaking is not None:
        speaking.add(curves_of(prediction), path.stem)
    result = saved | {
        "frames": prediction.frames,
        "fps": fps,
        "seconds": round(speech.duration, 6),
        "head": prediction.head,
        **({"mesh": mesh} if (mesh := who.head.provenance.get("mesh")) else {}),
        "model": prediction.model,
        "text": " ".join(word.text for word in prediction.words),
        "language": prediction.language,
    }
    return result, list(prediction.warnings)


def _target(out: Path, audio: Path) -> Path:
    return out if is_curve_file(out) else out / f"{audio.stem}.performance.npz"


def _save(prediction: Performance, target: Path, *, dense: bool) -> dict[str, object]:
    """Write the performance, or its curves; what to print of that."""
    if is_curve_file(target):
        write_curves(curves_of(prediction), target)
        return {"curves": target}
    prediction.save(target, dense=dense)
    return {"performance": target}


def _check_names(audio: tuple[Path, ...]) -> None:
    if not audio:
        raise BadInputError("No audio file was given.", "Name one or more files to animate.")
    twice = [stem for stem, count in Counter(path.stem for path in audio).items() if count > 1]
    if twice:
        raise BadInputError(
            f"Several audio files are called {twice[0]!r} and would overwrite each other's result.",
            "Animate them into different folders.",
        )


def _transcript(
    text: str | None, text_file: Path | None, phones: Path | None
) -> str | tuple[Cue, ...] | None:
    given = {"--text": text, "--text-file": text_file, "--phones": phones}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise BadInputError(f"Both {named[0]} and {named[1]} were given.", "Give one of them.")
    return text if text_file is None else read_text_file(text_file)


def _given(audio: tuple[Path, ...], phones: Path) -> dict[Path, Segmentation]:
    """The phones of each recording, from one file or a folder of files."""
    from engine.recognition.segmentation import find_segmentation, load_segmentation

    if phones.is_dir():
        return {path: load_segmentation(find_segmentation(phones, path.stem)) for path in audio}
    if len(audio) > 1:
        raise BadInputError(
            f"The phones of {phones} were given for {len(audio)} recordings.",
            "Give a folder with the phones of each, named as the recording.",
        )
    return {audio[0]: load_segmentation(phones)}
