# SPDX-License-Identifier: GPL-3.0-or-later
"""Who speaks: the head and the speech model that a command's options name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.core.errors import BadInputError
from engine.motion.model.ids import DEFAULT

if TYPE_CHECKING:
    from engine.heads.head import Head


class Speaker(NamedTuple):
    """Who speaks.

    Attributes:
        head: the head.
        model: id or file of the speech model.
    """

    head: Head
    model: str


def choose_speaker(
    head: str | None, avatar: str | None, person: str | None, speech_model: str | None
) -> Speaker:
    """The head and speech model of a command's options of these names.

    Raises:
        BadInputError: both an avatar and a person, or one that cannot be read.
        MissingDependencyError: the file that the avatar's head is made from is not found.
    """
    from engine.avatar.with_head import head_of
    from engine.heads import load_head
    from engine.persons import load_person

    if avatar is not None and person is not None:
        raise BadInputError(
            "Both --avatar and --person were given.", "Give the person; it has its avatar."
        )
    if person is not None:
        who = load_person(person)
        return Speaker(head_of(who.avatar, head), speech_model or who.speech_model or DEFAULT)
    if avatar is not None:
        return Speaker(head_of(avatar, head), speech_model or DEFAULT)
    return Speaker(load_head(head or "default"), speech_model or DEFAULT)
