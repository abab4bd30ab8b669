# SPDX-License-Identifier: GPL-3.0-or-later
"""A person from a capture: the avatar, then the speech model, then both for each other.

Of a video the capture is made first, by tracking it, and refined by its pictures
(:mod:`training.person.capture_stages`). Each stage is a training of its own in
``stages/NAME`` and resumes as one. What there is after a stage is put into the job's folder at
once, which is the person's folder (docs/persons.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engine.core import platforms
from engine.core.errors import CancelledError
from engine.core.files import copy_file
from engine.core.json_values import read_json
from engine.heads.head import Head
from engine.heads.registry import AVATAR
from engine.heads.retarget import has_arkit_visemes
from engine.jobs.worker import JobHandle, JobPart
from engine.motion.model.checkpoint import encoder_source_of
from engine.motion.model.ids import STARTER
from engine.persons import Person, save_person
from engine.persons.person import SPEECH_MODEL
from training.data.flame_tracking import TRACKING
from training.data.multiview import MultiViewCapture
from training.data.recordings import any_recordings
from training.person.capture_stages import (
    STAGES,
    TRACKED,
    PersonTraining,
    Stage,
    capture_stages,
    is_refinement,
    refined,
    refinement_words,
)
from training.person.config import PersonSettings
from training.person.one_camera import (
    for_one_camera,
    has_one_camera,
    unseen_note,
    with_fine_pictures,
)
from training.run.checkpoints import write_json
from training.run.loop import report_to

_AVATAR_SCORES = ("test PSNR (dB)", "test SSIM", "gaussians")


def train(plan: PersonTraining, job: JobHandle) -> Person:
    """Train a person, or resume a training that was interrupted.

    Args:
        plan: what to train.
        job: gets reports; its folder is ``plan.out``.

    Returns:
        The person as it was written.

    Raises:
        BadInputError: the capture cannot be used; before the first stage.
        CancelledError: the user asked to stop; all that is done is kept.
    """
    tracking, first = capture_stages(plan), 0
    most = sum(stage.steps for stage in tracking) + _most_steps(plan.settings)
    for stage in tracking:
        if not stage.finished:
            job.update(job.status.step, total=most)
        stage.run(job, first, stage.name)
        first += stage.steps
    plan = refined(plan)
    job.update(job.status.step, message="Checking the capture")
    capture = MultiViewCapture.open(plan.capture, head=plan.head)
    plan = replace(plan, settings=with_fine_pictures(plan.settings, capture))
    left_out = _left_out(plan, capture.head)
    rest = [stage for stage in _stages(plan, capture) if not left_out.get(stage.name)]
    stages = [*tracking, *rest]
    for name, reason in left_out.items():
        if reason:
            print(f"note: no {name} stage: {reason}", flush=True)
    job.update(job.status.step, total=sum(stage.steps for stage in stages))
    for number, stage in enumerate(rest, 1 + len(tracking)):
        stage.run(job, first, f"{stage.name} ({number} of {len(stages)})")
        # From here on the job resumes with the same options only.
        write_json(job.checkpoints / "stages.json", [s.name for s in stages if s.finished])
        first += stage.steps
        person = _published(plan, capture, stages, left_out)
    if has_one_camera(capture):
        job.note(unseen_note(capture, plan.out / STAGES / "avatar"))
    job.update(first, message=_summary(person))
    return person


def _most_steps(settings: PersonSettings) -> int:
    """Of all stages after the tracking, where none of them is left out."""
    joint = settings.joint.steps if settings.joint_rounds else 0
    return settings.avatar.steps + settings.speech_steps + joint


def _left_out(plan: PersonTraining, head: Head) -> dict[str, str]:
    """Why a stage cannot be, or is not wanted; empty text where it is done."""
    settings = plan.settings
    speech = joint = ""
    found = any_recordings(plan.capture)
    if not settings.speech_steps:
        speech = "--speech-steps is 0"
    elif not found.every:
        speech = f"there are no recordings of {plan.source}"
    if not settings.joint_rounds:
        joint = "--joint-rounds is 0"
    elif speech:
        joint = "there is no speech stage"
    elif settings.avatar.color != "mlp":
        joint = f"the colours of the preset '{settings.preset}' follow no expression"
    elif settings.start not in ("", "none") and not has_arkit_visemes(head):
        joint = "the colours follow FLAME's expressions and the speech model ARKit's"
    elif not found.filmed:
        joint = "no timestep of the capture is a frame of a recording"
    return {"speech": speech, "joint": joint}


def _stages(plan: PersonTraining, capture: MultiViewCapture) -> list[Stage]:
    settings, out, head = plan.settings, plan.out, capture.head
    avatar, speech = out / STAGES / "avatar" / AVATAR, out / STAGES / "speech" / SPEECH_MODEL

    def train_avatar(folder: Path, job: JobPart) -> dict[str, float]:
        from training.avatar.run import train

        chosen = settings.avatar
        if has_one_camera(capture):
            chosen = for_one_camera(chosen, capture)
        train(plan.capture, chosen, folder, job, head=plan.head)
        found = read_json(folder / "scores.json")
        return {name: found.number(name) for name in _AVATAR_SCORES}

    def train_speech(folder: Path, job: JobPart) -> dict[str, float]:
        return _train_speech(plan, head, avatar, folder, job)

    def train_joint(folder: Path, job: JobPart) -> dict[str, float]:
        from training.joint.run import train

        chosen = replace(settings.joint, name=plan.name)
        rows = train(
            plan.capture,
            avatar,
            str(speech),
            chosen,
            folder,
            job,
            head=plan.head,
            tracking=_tracking(avatar),
        )
        return {f"{row.what}, PSNR (dB)": row.psnr for row in rows}

    return [
        Stage(out, "avatar", settings.avatar.steps, train_avatar),
        Stage(out, "speech", settings.speech_steps, train_speech),
        Stage(out, "joint", settings.joint.steps, train_joint),
    ]


def _tracking(avatar: Path) -> Path | None:
    """What the avatar's training refined of FLAME's parameters, where it did."""
    path = avatar.with_name(TRACKING).resolve()
    return path if path.is_file() else None


def _train_speech(
    plan: PersonTraining, head: Head, avatar: Path, folder: Path, job: JobPart
) -> dict[str, float]:
    from training.speech.config import TrainingConfig
    from training.speech.personal import SCRATCH, train_personal
    from training.speech.personal import PersonalTraining as SpeechPlan

    settings = plan.settings
    starter_fits = has_arkit_visemes(head) and not settings.encoder_source
    start = settings.start or (STARTER if starter_fits else SCRATCH)
    steps = settings.speech_steps
    wanted = SpeechPlan(
        data=plan.capture,
        out=folder,
        # The avatar carries the head; its FLAME model has just been read, so it is found.
        head=str(avatar.resolve()),
        tracking=_tracking(avatar),
        start=start,
        preset="personal" if settings.encoder_source else "starter",
        encoder_source=settings.encoder_source,
        name=plan.name,
        training=TrainingConfig(
            steps=steps,
            learning_rate=5e-4,
            warm_up=min(50, steps),
            validate_every=min(100, steps),
            seed=settings.seed,
            device=settings.device,
        ),
    )

    def report(_fraction: float, message: str) -> None:
        if job.cancel_requested:
            raise CancelledError
        job.update(job.status.step, total=steps, message=message)

    outcome = train_personal(wanted, report, report_to(job))
    return {
        "validation LVE before (mm)": outcome.before,
        "validation LVE after (mm)": outcome.after,
        **({} if outcome.test is None else outcome.test.figures()),
    }


def _published(
    plan: PersonTraining,
    capture: MultiViewCapture,
    stages: list[Stage],
    left_out: Mapping[str, str],
) -> Person:
    """Put the latest avatar and speech model into the person's folder, and say what they are."""
    out, done = plan.out, {stage.name: stage for stage in stages if stage.finished}
    latest = "joint" if "joint" in done else "avatar"
    copy_file(done[latest].folder / AVATAR, out / AVATAR)
    if (tracking := _tracking(done["avatar"].folder / AVATAR)) is not None:
        copy_file(tracking, out / TRACKING)
    model = ""
    if "speech" in done:
        model = SPEECH_MODEL
        _copy_model(done["joint" if "joint" in done else "speech"].folder / SPEECH_MODEL, out)
    source, captured = capture.head.provenance, plan.source
    person = Person(
        name=plan.name,
        avatar=AVATAR,
        speech_model=model,
        trained_on=_trained_on(plan, capture, done, left_out),
        scores={
            f"{name}: {what}": value
            for name, stage in done.items()
            for what, value in stage.scores.items()
        },
        licences={
            "capture": plan.licence or f"that of the capture {captured}; not stated",
            "head": source.get("licence", "not stated"),
        },
        provenance={
            "made by": "gaussianspeech train person",
            "capture": captured,
            "head": f"{capture.head.id} ({source.get('source', capture.head.source.kind)})",
            "seed": str(plan.settings.seed),
        },
    )
    save_person(out, person)
    return person


def _trained_on(
    plan: PersonTraining,
    capture: MultiViewCapture,
    done: Mapping[str, Stage],
    left_out: Mapping[str, str],
) -> dict[str, str]:
    name, tracked = plan.source, done[TRACKED].scores if TRACKED in done else {}
    off = read_json(done["avatar"].folder / "config.json").group("terms_off").values
    without = f", without the losses {', '.join(off)} (no weights)" if off else ""
    one = f". {unseen_note(capture, done['avatar'].folder)}" if has_one_camera(capture) else ""
    texts = {
        TRACKED: f"{name}: {tracked.get('tracked', 0):.0f} of "
        f"{tracked.get('frames', 0):.0f} frames",
        "avatar": f"{name}: {len(capture.split('train'))} pictures, "
        f"{plan.settings.avatar.steps} steps{without}{one}",
        "speech": f"{name}: {len(any_recordings(plan.capture).every)} recordings",
        "joint": f"{name}: predicted faces on its pictures",
    }
    for stage in filter(is_refinement, done):
        texts[stage] = f"{name}: {refinement_words(done[stage].scores, done[stage].steps)}"
    said = {stage: texts[stage] for stage in done}
    return said | {stage: f"not trained: {why}" for stage, why in left_out.items() if why}


def _copy_model(source: Path, folder: Path) -> None:
    """Copy a speech model with the encoder that lies beside it; one that it replaces goes."""
    encoder = encoder_source_of(source)
    beside = Path(encoder) if encoder else None
    kept = ""
    if beside is not None and beside.is_dir() and beside.parent == source.parent:
        kept = beside.name
        shutil.copytree(beside, folder / kept, dirs_exist_ok=True)
    copy_file(source, folder / SPEECH_MODEL)
    for old in folder.glob(f"{Path(SPEECH_MODEL).stem}-*.wav2vec2"):
        if old.name != kept:
            platforms.remove_tree(old)


def _summary(person: Person) -> str:
    parts = ["an avatar", *(["a speech model"] if person.speech_model else [])]
    return f"{person.name}: {' and '.join(parts)}"
