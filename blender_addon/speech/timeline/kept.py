# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist's work on the timeline asks of the engine and of the bake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ....engine.motion.spans import HOLD_CLOSED, Span
from .timing import Timing, read_timing, timing_of

_SLACK = 0.1
"""Seconds of a sound beyond the phones that were moved, from which a warning says so."""
_COPIED = ("timing", "said", "language", "covered", "markers")


def is_timed(line: Any) -> bool:
    """Whether a line speaks phones that an artist moved; a text that was typed since outdoes them.

    Args:
        line: ``GAUSSIANSPEECH_PG_line``.
    """
    return bool(line.timeline.timing) and line.timeline.said == said_of(line)


def said_of(line: Any) -> str:
    """The text that a line's phones are of."""
    return line.text_file or line.text.strip()


def keep_timing(line: Any, timing: Timing, covered: tuple[float, float], language: str) -> None:
    """Let a line speak these phones from the next prediction on.

    Args:
        line: ``GAUSSIANSPEECH_PG_line``.
        timing: seconds into the sound.
        covered: seconds of the sound that were recognised.
        language: of the words.
    """
    kept = line.timeline
    kept.timing, kept.said, kept.language = timing.to_json(), said_of(line), language
    kept.covered = covered


def forget_timing(line: Any) -> None:
    """Let a line be recognised again."""
    line.timeline.timing = ""


def given_params(line: Any, later: float) -> dict[str, Any]:
    """The parameters of ``speech.predict`` about phones that are known; none without.

    Args:
        line: ``GAUSSIANSPEECH_PG_line``.
        later: seconds by which they are later in the sound that is sent.
    """
    if not is_timed(line):
        return {}
    language = line.language.strip() or line.timeline.language
    known = {"language": language} if language else {}
    return read_timing(line.timeline.timing).shifted(later).params() | known


def move_timeline(line: Any, later: float) -> None:
    """Let all that is kept be later, where seconds are counted from another time from now on."""
    group = line.timeline
    if group.timing:
        group.timing = read_timing(group.timing).shifted(later).to_json()
    group.covered = [seconds + later for seconds in group.covered]
    spans = spans_of(line)
    keep_spans(line, (s._replace(start=s.start + later, end=s.end + later) for s in spans))


def take_reply(
    line: Any, start: float, reply: Mapping[str, Any], *, given: bool
) -> tuple[str, ...]:
    """Keep the phones as the engine read them: what was typed has become sounds.

    Args:
        line: ``GAUSSIANSPEECH_PG_line``.
        start: seconds into the sound of the first frame of the reply.
        reply: of ``speech.predict``.
        given: whether its phones were given; else the sound was recognised, and counts.

    Returns:
        What the user should know, a sentence each.
    """
    kept = line.timeline
    if not given:
        forget_timing(line)
        return ()
    first, last = kept.covered
    duration = reply["frames"] / reply["fps"]
    if reply["words"] and not line.text_file:
        _keep_text(line, reply["words"])
    made = timing_of(reply["phones"], reply["words"]).shifted(start)
    known = read_timing(kept.timing)
    # What a trimmed strip does not play stays for when it is played again.
    outside = known.outside(start, start + duration)
    keep_timing(line, outside.joined(made), (first, last), kept.language or reply["language"])
    more = max(first - start, start + duration - last)
    if more <= _SLACK:
        return ()
    return (f"The sound is {more:.1f} s longer than the phones that you moved: Recognise Again.",)


def _keep_text(line: Any, words: list[list[Any]]) -> None:
    """Show the words that are said now as the line's text."""
    recognised = line.text.strip() == line.recognized_text.strip()
    line.text = " ".join(word for word, _, _ in words)
    if recognised:
        line.recognized_text = line.text


def spans_of(line: Any) -> tuple[Span, ...]:
    """The spans of a line, seconds into its sound."""
    return tuple(Span(s.kind, s.start, s.end, s.amount) for s in line.timeline.spans)


def spans_from(line: Any, start: float) -> tuple[Span, ...]:
    """The spans of a line, seconds from the frame at ``start`` seconds into its sound."""
    return tuple(
        span._replace(
            start=span.start - start,
            end=span.end - start,
            amount=min(span.amount, 1.0) if span.kind == HOLD_CLOSED else span.amount,
        )
        for span in spans_of(line)
    )


def keep_spans(line: Any, spans: Iterable[Span]) -> None:
    """Give a line these spans, instead of others; nothing is baked yet."""
    group = line.timeline
    group.changing = True
    group.spans.clear()
    for span in spans:
        made = group.spans.add()
        made.kind, made.start, made.end, made.amount = span
    group.changing = False


def copy_timeline(source: Any, target: Any) -> None:
    """Give a copy of a line the phones and spans of the first; nothing of it is shown."""
    for name in _COPIED:
        setattr(target.timeline, name, getattr(source.timeline, name))
    keep_spans(target, spans_of(source))
