# SPDX-License-Identifier: GPL-3.0-or-later
"""PocketSphinx's English acoustic model: how well each frame sounds like each state of a phone.

The model (inside the pocketsphinx package) has 137,000 triphones: phones in the context of their
neighbours and of the word, each three states long, with 5,126 shared state distributions called
senones. PocketSphinx itself computes the senone scores here; the searches over them are in
:mod:`.phone_loop`, because PocketSphinx's own context-dependent phone search takes
longer than the speech and its aligner gives up on correct transcripts.
"""

from __future__ import annotations

import math
import shutil
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Decoder, NGramModel, get_model_path

from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Float, Short
from engine.core.errors import MissingDependencyError, UnwritableError

SILENCE = "SIL"
INTERNAL, BEGIN, END, SINGLE = range(4)
"""Place of a phone in its word, in the model's own numbering."""

SENONES = 5126
ROW = 2 * (SENONES + 1)
"""Bytes of a frame in an utterance's file: the number of senones that were scored, here all of
them, and their scores."""

SCORE_UNIT = np.float32(1024 * math.log(1.0001))
"""Nats per unit of a senone score (PocketSphinx keeps logs to the base 1.0001, over 1024)."""

_MODEL = "en-us/en-us"
_PHONE_TRIGRAM = "en-us/en-us-phone.lm.bin"


@dataclass(frozen=True, eq=False)
class AcousticModel:
    """The triphones and how phones follow each other; P = 40, silence last.

    Attributes:
        labels: P ARPAbet labels.
        senones: (4, P, P, P, 3) int16, the senones of [place in word, left, phone, right, state].
        stay: (P, 3) float32, log probability of staying in a state for another frame.
        leave: (P, 3) float32, log probability of the transition to the next state.
        trigram: (P, P, P) float32, log P(third | first, second).
    """

    labels: tuple[str, ...]
    senones: Short
    stay: Float
    leave: Float
    trigram: Float

    def index(self, label: str) -> int:
        """The number of a phone; silence for labels the model does not know."""
        try:
            return self.labels.index(label)
        except ValueError:
            return len(self.labels) - 1


@cache
def acoustic_model() -> AcousticModel:
    """The model, read once: 0.2 s.

    Raises:
        MissingDependencyError: the installed pocketsphinx holds another model than this one.
    """
    names, phones, sequences = _definition()
    kept = [name for name in names if name.isalpha() and name != SILENCE] + [SILENCE]
    place = np.full(len(names), -1)
    for index, name in enumerate(kept):
        place[names.index(name)] = index
    bases = [phones[names.index(name)] for name in kept]
    transitions = _transitions()[[base["tmat"] for base in bases]]
    with np.errstate(divide="ignore"):
        log = np.log(transitions).astype(np.float32)
    states = np.arange(3)
    return AcousticModel(
        labels=tuple(kept),
        senones=_senone_table(phones[len(names) :], bases, place, sequences),
        stay=np.ascontiguousarray(log[:, states, states]),
        leave=np.ascontiguousarray(log[:, states, states + 1]),
        trigram=_trigram(kept),
    )


def senone_scores(cepstra: Float) -> Short:
    """Scores of all senones in a stretch of speech.

    Args:
        cepstra: (T, 13) at 100 frames per second, their mean subtracted (:mod:`.cepstra`); T ≥ 1,
            at most about a minute, of which a second takes 1 MB.

    Returns:
        (T, 5126) int16; 0 is the best of a frame, larger is less likely by :data:`SCORE_UNIT` nats.

    Raises:
        UnwritableError: the folder of temporary files has no room for them.
    """
    with _LOCK:
        decoder, folder = _scorer()
        # Systems remove temporary folders that nothing was written to for days.
        Path(folder.name).mkdir(mode=0o700, exist_ok=True)
        check_room(folder.name, len(cepstra))
        # Without this, Gaussian selection would continue from the chunk before.
        decoder.reinit_feat()
        decoder.start_utt()
        try:
            decoder.process_cep(np.ascontiguousarray(cepstra, np.float32).tobytes(), full_utt=True)
        finally:
            # Whatever happened, the next utterance has to begin, and its file to be the only one.
            decoder.end_utt()
            (log,) = Path(folder.name).glob("*.sen")
            data = log.read_bytes()
            log.unlink()
    return senone_log_rows(data[senone_log_header(data) :])


_LOCK = Lock()
_PARAMETERS = "-feat 1s_c_d_dd -svspec 0-12/13-25/26-38 -agc none -cmn none -varnorm no"


@cache
def _scorer() -> tuple[Any, TemporaryDirectory[str]]:
    """A decoder for whole chunks, and the folder that it writes all senone scores to."""
    folder = TemporaryDirectory(prefix="gaussianspeech-")
    # The model's own file of these parameters would have means subtracted once more.
    parameters = Path(folder.name, "feat.params")
    parameters.write_text(_PARAMETERS, "ascii")
    return make_scorer(folder.name, featparams=str(parameters)), folder


def make_scorer(folder: str, **options: str) -> Any:
    """A decoder that writes all senone scores to a folder; its search is narrowed to nothing.

    Args:
        folder: gets a file for each utterance.
        options: of the decoder, such as ``cmn="live"``.
    """
    return Decoder(
        allphone=get_model_path(_PHONE_TRIGRAM),
        dict=None,
        beam=1e-2,
        pbeam=1e-2,
        compallsen=True,
        senlogdir=folder,
        **options,
        samprate=SAMPLE_RATE,
        loglevel="FATAL",
    )


def check_room(folder: str, frames: int) -> None:
    """See that a folder has room for an utterance: without, PocketSphinx ends the process.

    Raises:
        UnwritableError: it has not.
    """
    needed = (frames * ROW >> 20) + 1
    if shutil.disk_usage(folder).free >> 20 < needed:
        raise UnwritableError(
            f"{folder} has no room for {needed} MB, which recognition needs.",
            "Free some space, or name another folder of temporary files by TMPDIR.",
        )


def senone_log_header(data: bytes) -> int:
    """Bytes of the header at the start of an utterance's file; 0 where it is not complete."""
    end = data.find(b"endhdr\n")
    return end + len(b"endhdr\n") + 4 if end >= 0 else 0


def senone_log_rows(data: bytes) -> Short:
    """(T, 5126) the scores in the complete rows of an utterance's file, its header left out."""
    rows = len(data) // ROW
    return np.frombuffer(data, "<i2", rows * ROW // 2).reshape(rows, 1 + SENONES)[:, 1:]


def _definition() -> tuple[list[str], NDArray[np.void], NDArray[np.uint16]]:
    """Names of the context-independent phones, all phones, and the senones of each sequence.

    The binary model definition of sphinxbase (``bin_mdef.h``): a described header, ten counts, the
    names, a context tree that is not needed here, the phones, and the senone sequences.
    """
    data = Path(get_model_path(_MODEL), "mdef").read_bytes()
    if data[:4] != b"BMDF":
        raise MissingDependencyError(
            "The acoustic model of the installed pocketsphinx has another format.",
            "Install the version of pocketsphinx that pyproject.toml names.",
        )
    (described,) = struct.unpack_from("<i", data, 8)
    position = 12 + described
    counts = struct.unpack_from("<10i", data, position)
    basic, total, states, tree, sequences = (counts[i] for i in (0, 1, 2, 8, 6))
    position += 40
    names = []
    for _ in range(basic):
        end = data.index(0, position)
        names.append(data[position:end].decode())
        position = end + 1
    position += -position % 4 + 8 * tree
    layout = [("sequence", "<i4"), ("tmat", "<i4"), ("context", "u1", 4)]
    phones = np.frombuffer(data, np.dtype(layout), total, position)
    position += phones.nbytes + 4
    table = np.frombuffer(data, "<u2", sequences * states, position).reshape(sequences, states)
    return names, phones, table


def _senone_table(
    triphones: NDArray[np.void],
    bases: list[NDArray[np.void]],
    place: NDArray[np.int64],
    sequences: NDArray[np.uint16],
) -> Short:
    """Senones of every phone in every context; unseen contexts fall back to other word places."""
    size = len(bases)
    found = np.full((4, size, size, size), -1)
    position, base, left, right = triphones["context"].T
    base, left, right = place[base], place[left], place[right]
    known = (base >= 0) & (left >= 0) & (right >= 0)
    found[position[known], left[known], base[known], right[known]] = triphones["sequence"][known]
    alone = np.array([int(phone["sequence"]) for phone in bases])[None, :, None]
    table = np.empty_like(found)
    orders = {
        INTERNAL: (INTERNAL, BEGIN, END, SINGLE),
        BEGIN: (BEGIN, INTERNAL, SINGLE, END),
        END: (END, INTERNAL, SINGLE, BEGIN),
        SINGLE: (SINGLE, BEGIN, END, INTERNAL),
    }
    for target, order in orders.items():
        table[target] = -1
        for source in order:
            table[target] = np.where(table[target] < 0, found[source], table[target])
        table[target] = np.where(table[target] < 0, alone, table[target])
    return np.asarray(sequences[table], np.int16)


def _transitions() -> Float:
    """(models, 3, 4) transition probabilities of the 3-state phones."""
    data = Path(get_model_path(_MODEL), "transition_matrices").read_bytes()
    start = data.index(b"endhdr\n") + len(b"endhdr\n")
    models, rows, columns = struct.unpack_from("<3i", data, start + 4)
    counts = np.frombuffer(data, "<f4", models * rows * columns, start + 20)
    matrices = counts.reshape(models, rows, columns)
    return np.asarray(matrices / matrices.sum(axis=2, keepdims=True), np.float32)


def _trigram(labels: list[str]) -> Float:
    """Log P(third | first, second) for all triples of phones: (P, P, P)."""
    decoder, _ = _scorer()
    model = NGramModel(decoder.config, decoder.logmath, get_model_path(_PHONE_TRIGRAM))
    unit = math.log(1.0001)
    # The library takes the predicted phone first, then its history backwards.
    table = [[[model.prob([c, b, a]) for c in labels] for b in labels] for a in labels]
    return np.asarray(np.array(table) * unit, np.float32)
