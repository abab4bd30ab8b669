# SPDX-License-Identifier: GPL-3.0-or-later
"""The plots of the report on lip sync."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from engine.audio.loading import SAMPLE_RATE
from engine.phonemes import (
    BILABIALS,
    LABIODENTALS,
    OPEN_VOWELS,
    ROUNDED,
    SILENCE,
    SPREAD,
    VOWELS,
)
from training.evaluation.report.speech import MODES, ClipResult, SpeechReport
from training.metrics.lip_sync import CLOSED_BELOW, LipSync, lip_speed
from training.metrics.mouth import mouth_track
from training.metrics.synchrony import RATE, voiced_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from engine.heads.head import Head
    from engine.motion.performance import Performance
    from engine.phonemes import Phone
    from training.data.speech import AlignedSpeech

_OURS, _OTHERS = "#1f5fa8", "#c0641c"
_BANDS: Mapping[str, tuple[Collection[str], str]] = {
    "p b m": (BILABIALS, "#e2574c"),
    "f v": (LABIODENTALS, "#e8a33d"),
    "rounded": (ROUNDED, "#8e6bbf"),
    "open vowels": (OPEN_VOWELS, "#7db46c"),
    "silence": ({SILENCE}, "#c9ccd1"),
}
_CLASSES: Mapping[str, Collection[str]] = {
    "p b m": BILABIALS,
    "f v": LABIODENTALS,
    "u o w": ROUNDED,
    "i e": SPREAD,
    "a": OPEN_VOWELS,
    "other": set(),
    "silence": {SILENCE},
}
LONGEST = 12.0
"""Seconds of a clip that a plot shows."""


def motion_figure(
    clip: AlignedSpeech, performances: Mapping[str, Performance], model: str, head: Head
) -> Figure:
    """Lip opening, mouth width and lip speed over time against the sounds.

    Args:
        clip: with its true sounds.
        performances: of the clip, by model; the one evaluated is drawn on top.
        model: what is evaluated.
        head: who speaks.
    """
    seconds = min(clip.speech.duration, LONGEST)
    figure = Figure((max(6.0, 1.6 * seconds + 1.0), 6.2), layout="constrained")
    gap, width, speed = figure.subplots(3, 1, sharex=True, height_ratios=(2.2, 1.2, 1.2))
    _bands(gap, clip.phones, seconds, labels=True)
    for axes in (width, speed):
        _bands(axes, clip.phones, seconds, labels=False)
    level = voiced_energy(clip.speech.samples, SAMPLE_RATE)
    limit = None
    for name, performance in sorted(performances.items(), key=lambda item: item[0] == model):
        track = mouth_track(performance, head)
        style = _style(name, model)
        gap.plot(track.times, track.gap, **style)
        width.plot(track.times, track.width, **style)
        rate = lip_speed(performance, head)
        speed.plot((np.arange(len(rate)) + 0.5) / performance.fps, rate, **style)
        if name == model:
            limit = CLOSED_BELOW * _mean_in_vowels(track.times, track.gap, clip.phones)
    highest = gap.get_ylim()[1]
    if level.max(initial=0.0) > 0:
        at = np.arange(len(level)) / RATE
        sound = level / level.max() * highest
        gap.fill_between(at, sound, color="#000000", alpha=0.06, linewidth=0)
    if limit is not None:
        gap.axhline(limit, color="#e2574c", linewidth=0.8, linestyle=":")
    gap.set(ylabel="lip opening, mm", xlim=(0, seconds), ylim=(0, highest))
    width.set(ylabel="mouth width, mm")
    speed.set(ylabel="lip speed, mm/frame", xlabel="seconds", ylim=(0, None))
    gap.legend(loc="upper right", fontsize=8, ncols=2)
    return figure


def measures_figure(report: SpeechReport) -> Figure:
    """Bars of the main measures, in each mode, of the model and what it is compared with."""
    panels: tuple[tuple[str, Callable[[LipSync], float | None]], ...] = (
        ("p b m closed, %", lambda s: _percent(s.closure_rate)),
        ("open vowels shut, %", lambda s: _percent(s.false_closure_rate)),
        ("f v touch, %", lambda s: _percent(s.contact_rate)),
        ("rounding, mm", lambda s: s.rounding_contrast),
        ("lag, ms", lambda s: s.lag_ms),
        ("motion in silence, mm", lambda s: s.silence_motion if s.silence else None),
        ("jitter, mm/frame²", lambda s: s.jitter),
        ("lip opening, mm", lambda s: s.open_gap),
    )
    totals = report.every_total()
    figure = Figure((12.0, 5.2), layout="constrained")
    for axes, (title, measure) in zip(figure.subplots(2, 4).flat, panels, strict=True):
        highest = 115.0 if title.endswith("%") else None
        _grouped(axes, totals, report.model, partial(_of_sync, measure), highest)
        axes.set_title(title, fontsize=10)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def classes_figure(
    clips: Sequence[AlignedSpeech],
    performances: Mapping[str, Sequence[Performance]],
    model: str,
    head: Head,
) -> Figure:
    """Bars of lip opening and mouth width in each class of sounds.

    Args:
        clips: with their true sounds.
        performances: of all clips, by model.
        model: what is evaluated.
        head: who speaks.
    """
    figure = Figure((12.0, 3.4), layout="constrained")
    panels = dict(zip(("gap", "width"), figure.subplots(1, 2), strict=True))
    models = sorted(performances, key=lambda name: name != model)
    for index, name in enumerate(models):
        found: dict[str, dict[str, list[NDArray[np.float64]]]] = {
            measure: {sounds: [] for sounds in _CLASSES} for measure in panels
        }
        for clip, performance in zip(clips, performances[name], strict=True):
            track = mouth_track(performance, head)
            for measure in panels:
                for sounds, values in _by_class(clip.phones, track.times, getattr(track, measure)):
                    found[measure][sounds].append(values)
        for measure, axes in panels.items():
            means = [_mean(values) for values in found[measure].values()]
            places = np.arange(len(means)) + 0.4 * (index - (len(models) - 1) / 2)
            axes.bar(places, means, 0.38, color=_style(name, model)["color"], label=name)
    for measure, title in (("gap", "lip opening, mm"), ("width", "mouth width, mm")):
        axes = panels[measure]
        axes.set_xticks(range(len(_CLASSES)), list(_CLASSES))
        axes.set_title(title, fontsize=10)
    low = min((bar.get_height() for bar in panels["width"].patches if bar.get_height()), default=0)
    panels["width"].set_ylim(bottom=0.85 * low)
    panels["gap"].legend(fontsize=8)
    return figure


def _of_sync(measure: Callable[[LipSync], float | None], result: ClipResult) -> float | None:
    return measure(result.lip_sync)


def _style(name: str, model: str) -> dict[str, Any]:
    if name == model:
        return {"color": _OURS, "linewidth": 1.6, "label": name}
    return {"color": _OTHERS, "linewidth": 1.1, "alpha": 0.9, "label": name}


def _bands(axes: Axes, phones: Sequence[Phone], seconds: float, *, labels: bool) -> None:
    for phone in phones:
        if phone.start >= seconds:
            break
        for members, colour in _BANDS.values():
            if phone.label in members:
                axes.axvspan(phone.start, phone.end, color=colour, alpha=0.22, linewidth=0)
                break
        if labels and phone.label != SILENCE:
            axes.text(
                (phone.start + min(phone.end, seconds)) / 2,
                1.01,
                phone.label,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=6,
                clip_on=False,
            )


def _grouped(
    axes: Axes,
    totals: Mapping[tuple[str, str], ClipResult],
    model: str,
    measure: Callable[[ClipResult], float | None],
    highest: float | None,
) -> None:
    modes = list(dict.fromkeys(mode for mode, _ in totals))
    models = sorted({name for _, name in totals}, key=lambda name: name != model)
    for index, name in enumerate(models):
        values = [totals.get((mode, name)) for mode in modes]
        heights = [None if v is None else measure(v) for v in values]
        places = np.arange(len(modes)) + 0.4 * (index - (len(models) - 1) / 2)
        bars = axes.bar(
            places,
            [h or 0.0 for h in heights],
            0.38,
            color=_style(name, model)["color"],
            label=name,
        )
        shown = ["–" if h is None else f"{h:.2g}" if abs(h) < 1 else f"{h:.3g}" for h in heights]
        axes.bar_label(bars, shown, fontsize=7, padding=1)
    axes.axhline(0, color="#444444", linewidth=0.6)
    axes.margins(y=0.15)
    if highest is not None:
        axes.set_ylim(0, highest)
    names = [MODES[mode].replace(" ", "\n", 1) for mode in modes]
    axes.set_xticks(range(len(modes)), names, fontsize=7)
    axes.tick_params(axis="y", labelsize=7)


def _by_class(
    phones: Sequence[Phone], times: NDArray[np.float64], values: NDArray[np.float64]
) -> list[tuple[str, NDArray[np.float64]]]:
    """The values in the middle half of each sound, by class."""
    named = set().union(*_CLASSES.values())
    found = []
    for phone in phones:
        quarter = (phone.end - phone.start) / 4
        inner_times = np.linspace(phone.start + quarter, phone.end - quarter, 5)
        inside = np.interp(inner_times, times, values)
        for sounds, labels in _CLASSES.items():
            if phone.label in labels or (sounds == "other" and phone.label not in named):
                found.append((sounds, inside))
    return found


def _mean(values: Sequence[NDArray[np.float64]]) -> float:
    return float(np.concatenate(values).mean()) if values else 0.0


def _mean_in_vowels(
    times: NDArray[np.float64], values: NDArray[np.float64], phones: Sequence[Phone]
) -> float:
    inside = np.zeros(len(times), bool)
    for phone in phones:
        if phone.label in VOWELS:
            inside |= (times >= phone.start) & (times < phone.end)
    return float(values[inside].mean()) if inside.any() else 0.0


def _percent(rate: float | None) -> float | None:
    return None if rate is None else 100 * rate
