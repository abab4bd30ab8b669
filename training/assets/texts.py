# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences for the synthesisers: made up from lists of words that cover every English sound."""

from __future__ import annotations

import numpy as np

from training.assets.languages import SENTENCES

_NAMES = """Bob, Mabel, Phoebe, Vivian, Woody, Joyce, Hugh, Zoe, Beth, Theo, Maya, Oliver, Paula,
Fred, Bobby, Emma, Victor, Wendy, George, Shirley, Poppy, Umberto, Yvonne, Chuck, Kathy, Ruth,
Pippa, Abe, Miriam, Boyd""".replace("\n", " ").split(", ")

_PEOPLE = """the baby, my mother, a farmer, the whole family, our neighbour, the young woman,
the old shepherd, a boy, the bishop, nobody, everybody, the film maker, a painter, the beekeeper,
your brother, the girl in the purple jumper, the chief engineer, a thief, the judge, some people,
the ambassador, the puppet, a robot, the guide, my best friend, the mayor, his uncle, the choir,
a few visitors, the plumber""".replace("\n", " ").split(", ")

_THINGS = """a bowl of soup, the blue boat, five apples, a map of the river, the big umbrella,
the piano, a bouquet of violets, the azure vase, a pumpkin pie, the empty bottle, a wooden box,
the moon, the television, a rough rope, the garage door, some bubbles, a cup of coffee, both shoes,
the measuring tape, the bamboo flute, a leather book, the fabric, the mushroom, the yellow lamp,
a treasure, the beige paper, the video, seven pebbles, the vacuum, the oil, a heavy hammer,
the thumb, an obvious problem, the whole website, the warm bread, the white pillow, my gloves,
the zebra, the orchard, an ambulance, the password, a hymn, the beverage""".replace(
    "\n", " "
).split(", ")

_DEEDS = """found, bought, moved, opened, forgot, carried, remembered, borrowed, watched, imagined,
wrapped, wove, mentioned, photographed, lost, pushed, sold, dropped, filmed, measured, enjoyed,
voted for, laughed about, put away, chewed, drew, proved, thought about, shook, polished,
admired, buried, rubbed, grabbed, kept, combed, climbed over, pumped up, covered""".replace(
    "\n", " "
).split(", ")

_WHEN = """this morning, before breakfast, in the evening, for a while, on Monday, in November,
every other Thursday, once upon a time, at about half past five, without a word, by the bay,
in the warm south, under the bridge, above the village, from the far shore, with both thumbs,
because of the fog, after the show, when the wind blew, as usual, very slowly, much too soon,
beyond the boundary, near the mouth of the cave, in good weather""".replace("\n", " ").split(", ")

_QUALITIES = """beautiful, impossible, awful, wonderful, smooth, enormous, unusual, fairly cheap,
bumpy, vague, joyful, remarkably heavy, worth a fortune, brown and fuzzy, poisonous, marvellous,
thoroughly empty, rather curious, out of bounds, humble, oily, weird, deaf to advice, good as new,
very loud, pure gold, improbable, vivid, cool, mauve""".replace("\n", " ").split(", ")

_SAYINGS = """Peter put up a big broom. Maybe we may move them by bus. Oh, how lovely!
What would you do? Baby mammals bump and bumble. Five vivid wolves waved. No, thank you very much.
Who knew? Please push the button now. Why not? My mama makes the best jam. Poor Papa.
Give me the photo of the moose. You choose. I hope so. Wow! We were away for a year.
Above all, be brave. Both of them both mumble. Boom! Pop the bubble, Bob. Above and beyond.
Everyone laughed at the goofy giraffe. Shoes should shine. He has a huge house. Voila, a view.
Their fourth thief thinks through things. She judges each other age. Oi! Boys enjoy noise.
Look, the good cook took a book. Up, up and away. Mm, that is good. Stop! Keep calm.
""".replace("\n", " ").split(". ")

_NUMBERS = """one two three, four five six, seven eight nine, ten eleven twelve, forty five,
thirteen million, ninety nine per cent, a hundred and one, zero point five, two thousand and twenty
""".replace("\n", " ").split(", ")


_FILLERS = ("um,", "uh,", "er,", "mm,", "hmm,")
_HESITATES, _BREAKS_OFF = 0.06, 0.03
"""How often a word comes after a filler, or after a first attempt at it."""


def sentence(rng: np.random.Generator, language: str = "en") -> str:
    """One sentence, ending in its punctuation.

    In English it is of English grammar and loose sense, with fillers and words begun twice here
    and there.

    Args:
        rng: chooses it.
        language: ``"en"`` or one of :data:`training.assets.languages.SENTENCES`.
    """
    if language != "en":
        return SENTENCES[language][rng.integers(len(SENTENCES[language]))]
    plain = str(_PATTERNS[rng.integers(len(_PATTERNS))](_Draw(rng)))
    said: list[str] = []
    for word in plain.split():
        if rng.random() < _HESITATES:
            said.append(_FILLERS[rng.integers(len(_FILLERS))])
        if rng.random() < _BREAKS_OFF and len(word) > 4:
            said.append(f"{word[:3]},")
        said.append(word)
    return " ".join(said)


def vocabulary() -> set[str]:
    """Every word that :func:`sentence` can use, in lower case."""
    lists = (_NAMES, _PEOPLE, _THINGS, _DEEDS, _WHEN, _QUALITIES, _SAYINGS, _NUMBERS)
    words = " ".join(" ".join(entries) for entries in lists).lower().split()
    return {word.strip(".,!?") for word in words} - {""}


class _Draw:
    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def __call__(self, entries: list[str]) -> str:
        return entries[self._rng.integers(len(entries))]

    def who(self) -> str:
        return self(_NAMES if self._rng.random() < 0.4 else _PEOPLE)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_PATTERNS = (
    lambda d: _capital(f"{d.who()} {d(_DEEDS)} {d(_THINGS)} {d(_WHEN)}."),
    lambda d: _capital(f"{d(_WHEN)}, {d.who()} {d(_DEEDS)} {d(_THINGS)}."),
    lambda d: _capital(f"{d(_THINGS)} was {d(_QUALITIES)}, and {d.who()} {d(_DEEDS)} it."),
    lambda d: f"Did you say that {d.who()} {d(_DEEDS)} {d(_THINGS)}?",
    lambda d: _capital(f"{d.who()} and {d.who()} {d(_DEEDS)} {d(_THINGS)}."),
    lambda d: f"{d(_SAYINGS).strip(' .')}.",
    lambda d: f"How {d(_QUALITIES)}! {_capital(d.who())} {d(_DEEDS)} {d(_THINGS)}.",
    lambda d: f"It is {d(_NUMBERS).strip()}, said {d.who()}, {d(_WHEN)}.",
    lambda d: _capital(f"{d(_NUMBERS).strip()}: {d(_THINGS)}, {d(_THINGS)} and {d(_THINGS)}."),
)
