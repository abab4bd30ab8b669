# SPDX-License-Identifier: GPL-3.0-or-later
"""How shape keys are called by the makers of characters, and which of them a mesh follows.

Names are compared without case, separators, and what all names of a mesh begin with.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ..arkit import ARKIT_NAMES
from . import key_names
from .poses import SPLIT


class Row(NamedTuple):
    """One shape key and what it stands for.

    Attributes:
        key: name of the shape key.
        pose: what it shows, see :func:`.poses.pose`.
        amount: value of the key at which it shows that.
    """

    key: str
    pose: str
    amount: float = 1.0


class Convention(NamedTuple):
    """Names that belong together.

    Attributes:
        name: for people.
        poses: pose by the plain name of the shape key (:func:`plain`).
            Of several names of a pose the first that a mesh has counts.
        needed: so many of them a mesh has at the least.
        parts: of the plain names those that show their pose together, such as the quarters of a
            mouth; where a mesh has a name of the whole, that counts alone.
    """

    name: str
    poses: Mapping[str, str]
    needed: int
    parts: Collection[str] = frozenset()


_PATH = re.compile(r"[.:|](?=\w{3})(?!(?:left|right)$)", re.IGNORECASE)
_SEPARATOR = re.compile(r"[_. ]")
_TELLING = 5
"""Letters of a name that is known without what stands before it: "Face_jawOpen"."""
_WORD_END = re.compile(r"[_. :|/-]+(?=\w)|(?<=[a-z])(?=[A-Z])")
_OF_MOUTH = re.compile(r"mouth|mth|lip|vis|phon|speech|speak|talk|vowel", re.IGNORECASE)
_SUFFIX = {"left": "left", "l": "left", "right": "right", "r": "right"}


@lru_cache(maxsize=8192)
def plain(name: str) -> str:
    """A name without case and separators; a side at its end is ``left`` or ``right``."""
    # What exporters put in front: "blendShape1.jawOpen", "Face|jawOpen".
    name = _PATH.split(name)[-1]
    apart = re.sub(r"[\s_.\-]+", "_", name.strip())
    match = re.search(r"_(left|right|l|r)$", apart, re.IGNORECASE)
    if match is None:
        match = re.search(r"(?<=[a-z])(Left|Right|L|R)$", apart)
    side = _SUFFIX[match.group(1).lower()] if match else ""
    stem = apart[: match.start()] if match else apart
    return re.sub(r"\W|_", "", stem).lower() + side


def _named(poses: Mapping[str, str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for key, pose in poses.items():
        named.setdefault(plain(key), pose)
    return named


def _convention(
    name: str, needed: int, names: Mapping[str, str], parts: Mapping[str, str] | None = None
) -> Convention:
    together = _named(parts or {})
    return Convention(name, together | _named(names), needed, frozenset(together))


_ARKIT_NAMES = {name: name for name in (*ARKIT_NAMES, *sorted(SPLIT))}
ARKIT = "ARKit"
CONVENTIONS = (
    # Before ARKit, whose names these end with.
    _convention("Daz Genesis 8.1 and 9", 6, key_names.DAZ_FACS, key_names.DAZ_FACS_PARTS),
    _convention(ARKIT, 6, _ARKIT_NAMES),
    _convention("Oculus, Ready Player Me", 5, key_names.OCULUS),
    _convention("VRoid", 3, key_names.VROID),
    _convention("Reallusion CC4", 12, _ARKIT_NAMES | key_names.CC4, key_names.CC4_PARTS),
    _convention("Reallusion", 4, key_names.REALLUSION),
    _convention("Daz visemes", 4, key_names.DAZ),
    _convention("MetaHuman", 6, key_names.METAHUMAN, key_names.METAHUMAN_PARTS),
    _convention("MMD", 3, key_names.MMD),
    # Before the vowels: E stands for another shape there.
    _convention("Rhubarb", 6, key_names.RHUBARB),
    _convention("VRM 1", 4, key_names.VRM1),
    _convention("Vowels", 4, key_names.VOWELS),
    _convention("Preston Blair", 5, key_names.CHART),
)
"""The conventions that are known, the more telling first."""


class Proposal(NamedTuple):
    """What a mesh's shape keys stand for.

    Attributes:
        convention: the one that fits best.
        rows: in the order of the mesh.
    """

    convention: Convention
    rows: tuple[Row, ...]


def propose(keys: Sequence[str], convention: Convention | None = None) -> Proposal | None:
    """Find out what shape keys stand for.

    Args:
        keys: their names, without the basis.
        convention: the one to follow, as for teeth that have few of the face's keys; else the one
            that most keys follow.

    Returns:
        ``None`` where too few follow any convention.
    """
    if convention is not None:
        rows = _rows(keys, convention)
        return Proposal(convention, rows) if rows else None
    found = [Proposal(known, _rows(keys, known)) for known in CONVENTIONS]
    fitting = [one for one in found if len(one.rows) >= one.convention.needed]
    return max(fitting, key=lambda one: len(one.rows), default=None)


def _rows(keys: Sequence[str], convention: Convention) -> tuple[Row, ...]:
    """What keys show by a convention, with the prefix that makes most of them known."""
    poses = convention.poses
    known: dict[str, str] = {}
    for key in keys:
        names = (plain(key), *_telling_ends(key))
        if (name := next((name for name in names if name in poses), None)) is not None:
            known[key] = name
    behind = [
        {key: name for key in group if (name := plain(key.removeprefix(prefix))) in poses}
        for prefix, group in _prefixed(keys, convention).items()
    ]
    known = max(behind, key=len, default={}) | known
    first: dict[str, str] = {}
    for key in keys:
        if key in known:
            first.setdefault(known[key], key)
    used = _used(first, convention)
    return tuple(Row(key, poses[name]) for name, key in first.items() if name in used)


def _prefixed(keys: Sequence[str], convention: Convention) -> dict[str, list[str]]:
    """Keys by what they begin with, where that is no part of their names.

    That all keys begin with, or several that say by it to be of a mouth: "Mouth_A", "phonemeAI".
    """
    found: dict[str, list[str]] = {}
    if any(len(name) < _TELLING for name in convention.poses):
        for key in keys:
            for match in _WORD_END.finditer(key):
                if _OF_MOUTH.search(key, 0, match.end()):
                    found.setdefault(key[: match.end()], []).append(key)
    several = {prefix: group for prefix, group in found.items() if len(group) >= convention.needed}
    return {_common_prefix(keys): list(keys)} | several


def _common_prefix(keys: Sequence[str]) -> str:
    """What all names begin with, as far as a separator: "jawOpen" and "jawLeft" have none."""
    if len(keys) < 2:
        return ""
    first, last = min(keys), max(keys)
    same = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    return first[: max(first.rfind(separator, 0, same) for separator in "_. ") + 1]


@lru_cache(maxsize=8192)
def _telling_ends(key: str) -> tuple[str, ...]:
    """A key's plain name without the first of its words, the first two …, as long as it tells."""
    ends = [plain(key[match.end() :]) for match in _SEPARATOR.finditer(key)]
    return tuple(end for end in ends if len(end) >= _TELLING)


def _used(known: Collection[str], convention: Convention) -> set[str]:
    """Of names of a mesh those by which it speaks: what is there twice would show at double."""
    used: dict[str, list[str]] = {}
    for name, pose in convention.poses.items():
        if name in known:
            used.setdefault(pose, []).append(name)
    for names in used.values():
        wholes = [name for name in names if name not in convention.parts]
        names[:] = wholes[:1] or names
    for pose in list(used):
        if all(half in used for half in _halves(pose)):
            del used[pose]
    return {name for names in used.values() for name in names}


def _halves(pose: str) -> tuple[str, str]:
    """The poses of the left and the right half of a face."""
    if pose == "blink":
        return "blink left", "blink right"
    return f"{pose}Left", f"{pose}Right"
