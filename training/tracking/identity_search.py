# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose face a film shows, by which camera, and how the detector answers to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double
from engine.core.progress import Progress, subprogress
from engine.heads.default import load_default_head
from training.tracking.calibration import calibrated
from training.tracking.face_model import arkit_face_model, own_lips, with_own_offsets
from training.tracking.first_poses import initial_poses
from training.tracking.fitting import fit_identity
from training.tracking.identity_space import IdentitySpace
from training.tracking.landmark_map import LandmarkMap
from training.tracking.landmarks import LandmarkDetector
from training.tracking.observations import FrameFit, Intrinsics, Observations, View
from training.tracking.own_looks import FilmPictures

_CALIBRATIONS, _SHOWN = 2, 2
"""How often the detector is calibrated, and the stride of the identity's frames rendered for it."""
_LOOKS = 0.5
"""Of the deviation that looks have in the pictures that taught the map: the renders of the
calibration have the person's own, so that less of them is unknown."""
_KNOWN = 1
"""Calibrations after which a fit says well enough where on the head a picture shows what."""


@dataclass(frozen=True, eq=False)
class IdentitySearch:
    """Identity and camera: fitted, and with a detector calibrated and fitted again.

    Attributes:
        space: of identities.
        marks: where the landmarks of people lie.
        still: see :func:`training.tracking.track.track_scan`.
        free_focal: whether the focal length is estimated.
        sharpness: (T,) of the film in the frames of different poses and mouths.
        frames: (T,) their numbers.
        filmed: see :func:`training.tracking.track.track_scan`.
    """

    space: IdentitySpace
    marks: LandmarkMap
    still: LandmarkDetector | None
    free_focal: bool
    sharpness: Double
    frames: NDArray[np.intp]
    filmed: FilmPictures | None

    def run(
        self, picked: Observations, guess: Intrinsics, progress: Progress
    ) -> tuple[Double, Intrinsics, LandmarkMap]:
        """Identity, camera and the person's own map from frames of different poses and mouths."""
        rounds = 1 if self.still is None else _CALIBRATIONS + 1
        marks, head = self.marks, load_default_head()
        rows = np.concatenate([_LOOKS * marks.looks, own_lips()])
        known: tuple[Double, Intrinsics] | None = None
        fit = initial_poses(arkit_face_model(head, self.space, marks), picked, guess)
        for number in range(rounds):
            step = subprogress(progress, number / rounds, (number + 1) / rounds)
            model = with_own_offsets(arkit_face_model(head, self.space, marks), rows)
            found, camera, fit = fit_identity(
                model,
                picked,
                guess,
                fit,
                free_focal=self.free_focal,
                known=known,
                progress=subprogress(step, 0.0, 0.6),
            )
            known = found, camera
            identity, own_offset = np.split(found, [-len(rows)])
            if self.still is not None and number < _CALIBRATIONS:
                step = subprogress(step, 0.6, 1.0)
                seen, known_well = picked.seen_by(camera), number >= _KNOWN
                own = self._calibrated(identity, seen, fit, step, own_looks=known_well)
                # Where landmarks rest on the mean person: the fit adds what the shape does.
                marks = own.of_person(-identity)
        marks = marks.of_person(identity)
        moved = np.tensordot(own_offset, rows, 1).astype(np.float32)
        return identity, camera, replace(marks, offset=marks.offset + moved)

    def _calibrated(
        self,
        identity: Double,
        views: Sequence[View],
        fit: FrameFit,
        progress: Progress,
        *,
        own_looks: bool,
    ) -> LandmarkMap:
        """The map of a person who was fitted, shown to the detector."""
        assert self.still is not None
        chosen = _shown(views)
        shown = [(view.camera, view.of(fit).picked(rows)) for view, rows in chosen]
        soft = [self.sharpness[rows] for _, rows in chosen]
        filmed = None
        if own_looks and self.filmed is not None:
            filmed = []
            for number, (_, rows) in enumerate(chosen):
                step = subprogress(
                    progress, number / (5 * len(chosen)), (number + 1) / (5 * len(chosen))
                )
                filmed.append(self.filmed(number, self.frames[rows], step))
        general, person = self.marks.of_person(identity), self.space.shaped(identity)
        step = subprogress(progress, 0.2, 1.0)
        return calibrated(general, person, shown, self.still, step, soft, filmed)


def _shown(views: Sequence[View]) -> list[tuple[View, NDArray[np.intp]]]:
    """Frames that are rendered for the detector: as many of several cameras as of one."""
    stride = _SHOWN * len(views)
    return [
        (view, np.flatnonzero(view.seen)[_SHOWN * number :: stride])
        for number, view in enumerate(views)
    ]
