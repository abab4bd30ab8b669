# SPDX-License-Identifier: GPL-3.0-or-later
"""Dimensions and switches of the speech model, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from engine.core.checks import shown
from engine.core.errors import BadInputError
from engine.heads.head import Head

SEQUENCE = "gaussianspeech"
"""The architecture of section 4.2 (:class:`engine.motion.model.network.SpeechModel`)."""


@dataclass(frozen=True)
class SpeechModelConfig:
    """Everything that decides the model's shape; saved with every checkpoint.

    Windows are counted in motion frames. The look-ahead of the encoders adds up, layer by layer,
    and with it the delay of a stream: :attr:`look_ahead`.

    Attributes:
        encoder: id of the audio encoder, ``"phonetic"`` or ``"wav2vec2"``.
        encoder_source: hub id or folder of the encoder's weights, where it has any.
        features: C, size of an audio feature.
        feature_rate: audio features per second.
        feature_start: seconds of the first feature's centre.
        motion_rate: frames per second at which motion is predicted; other rates are resampled.
        dimension: d, size of the hidden states.
        heads: attention heads, a divisor of the dimension.
        feed_forward: hidden size of the feed-forward layers.
        lip_layers: layers of the lip transformer encoder.
        wrinkle_layers: layers of the wrinkle transformer encoder.
        expression_layers: layers of the expression encoder.
        decoder_layers: layers of the motion decoder.
        past: frames that every attention sees before its own.
        ahead: frames that each layer of the encoders sees after its own; the decoder sees none.
        lip_vertices: L, vertices that the lip encoder is trained on.
        wrinkles: W, size of the wrinkle features.
        expressions: E, expression weights of the head.
        components: K, columns of the last layer.
        vertices: V, vertices of the head.
        styles: names of the inputs an artist can set; all are 0 by default.
        dropout: in training.
        learned_basis: whether the (K, V, 3) basis of the vertex mapper is trained and stored, or
            is the head's own expression basis.
        alignment_mask: Eq. 11; without it a frame attends to the audio of its whole window
            (Table 4).
        finetune_audio: whether training continues through an audio encoder that has weights
            (Table 4); its convolutions stay frozen.
        wrinkle_features: whether there is a wrinkle encoder (Table 4).
        autoregressive: whether the last frame's components are fed back, for comparison.
        architecture: what the network is: :data:`SEQUENCE`, or one that was registered
            (:mod:`engine.motion.model.architectures`).
        inner_interpolation: whether the features of wav2vec 2.0 are brought to the motion's rate
            between its convolutions and its transformer, as the paper has it, or after both.
        lip_feedback: whether the lip encoder takes in its own lips of the frame before (Eq. 7).
        motion_memory: whether the decoder's cross-attention attends to m (Fig. 4), or m is what
            the decoder refines and the audio is attended to.
        staged: whether each part learns from its own loss alone, one after the other, or all of
            them together.
    """

    encoder: str = "phonetic"
    encoder_source: str = ""
    features: int = 81
    feature_rate: float = 100.0
    feature_start: float = 0.005
    motion_rate: float = 50.0
    dimension: int = 96
    heads: int = 4
    feed_forward: int = 192
    lip_layers: int = 2
    wrinkle_layers: int = 1
    expression_layers: int = 1
    decoder_layers: int = 2
    past: int = 24
    ahead: int = 3
    lip_vertices: int = 270
    wrinkles: int = 24
    expressions: int = 52
    components: int = 52
    vertices: int = 5814
    styles: tuple[str, ...] = ("articulation", "smile")
    dropout: float = 0.1
    learned_basis: bool = False
    alignment_mask: bool = True
    finetune_audio: bool = True
    wrinkle_features: bool = True
    autoregressive: bool = False
    architecture: str = SEQUENCE
    inner_interpolation: bool = False
    lip_feedback: bool = False
    motion_memory: bool = False
    staged: bool = False

    def __post_init__(self) -> None:
        """Check that the values make a model.

        Raises:
            BadInputError: names the value.
        """
        for field in fields(self):
            value: Any = getattr(self, field.name)
            kind, found = type(field.default), type(value)
            if found is not kind and not (kind is float and found is int):
                raise _refused(field.name, value, f"Choose {_KINDS[kind]}.")
            most = _MOST_LAYERS if field.name.endswith("_layers") else _MOST
            if field.name in _COUNTS and (type(value) is not int or not 1 <= value <= most):
                raise _refused(field.name, value, f"Choose a whole number from 1 to {most:,}.")
            if field.name in _RATES and not 1.0 <= value <= 1000.0:
                raise _refused(field.name, value, "Choose 1 to 1000 per second.")
        if self.dimension % self.heads:
            raise _refused("heads", self.heads, f"Choose a divisor of {self.dimension}.")
        if not (0 <= self.past <= _MOST_FRAMES and 0 <= self.ahead <= _MOST_FRAMES):
            hint = f"Choose 0 to {_MOST_FRAMES:,}."
            raise _refused("past, ahead", (self.past, self.ahead), hint)
        if not -_LATEST <= self.feature_start <= _LATEST:
            raise _refused("feature_start", self.feature_start, "Choose a time in seconds.")
        if not all(isinstance(name, str) for name in self.styles):
            raise _refused("styles", self.styles, "Choose names.")
        if not 0.0 <= self.dropout < 1.0:
            raise _refused("dropout", self.dropout, "Choose 0 to 1.")
        self._check_paper()

    def _check_paper(self) -> None:
        """Check what only the paper's way has."""
        if self.lip_feedback and self.ahead:
            hint = "Choose 0: no frame is ahead yet."
            raise _refused("lip_feedback with ahead", self.ahead, hint)
        if self.inner_interpolation and self.feature_rate != self.motion_rate:
            raise _refused("feature_rate", self.feature_rate, f"Choose {self.motion_rate:g}.")

    @property
    def encoder_layers(self) -> int:
        """Layers with look-ahead that lie behind each other."""
        wrinkle = self.wrinkle_layers if self.wrinkle_features else 0
        return self.lip_layers + wrinkle + self.expression_layers

    @property
    def tunes_audio(self) -> bool:
        """Whether training continues through the encoder: asked for, and it has weights."""
        return self.finetune_audio and self.encoder == "wav2vec2"

    @property
    def inner_rate(self) -> float | None:
        """The rate that wav2vec 2.0 itself brings its features to; ``None`` for its own."""
        return self.motion_rate if self.inner_interpolation else None

    @property
    def look_ahead(self) -> int:
        """Motion frames after its own that a predicted frame depends on.

        The decoder adds none: without the alignment mask it sees ``ahead`` frames of audio, which
        the encoders have waited for already.
        """
        return self.encoder_layers * self.ahead

    @property
    def delay(self) -> float:
        """Seconds of audio features after its own time that a predicted frame waits for."""
        spread = max(1.0 / self.feature_rate, 1.0 / self.motion_rate)
        return self.look_ahead / self.motion_rate + spread

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SpeechModelConfig:
        """Back from JSON.

        Raises:
            BadInputError: unknown names, or values that make no model.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise BadInputError(
                f"The configuration of the speech model has unknown entries: {', '.join(unknown)}.",
                "It was written by a newer version; update GaussianSpeech.",
            )
        given = dict(values)
        try:
            if "styles" in given:
                given["styles"] = tuple(given["styles"])
            return cls(**given)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInputError(
                f"The configuration of the speech model is wrong: {error}"
            ) from None


_MOST, _MOST_LAYERS, _MOST_FRAMES, _LATEST = 2_000_000, 64, 10_000, 10.0
_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of names",
}
_COUNTS = frozenset(
    {"features", "dimension", "heads", "feed_forward", "lip_layers", "expression_layers"}
    | {"decoder_layers", "wrinkle_layers", "lip_vertices", "wrinkles", "expressions"}
    | {"components", "vertices"}
)
_RATES = frozenset({"feature_rate", "motion_rate"})


def _refused(name: str, value: object, hint: str) -> BadInputError:
    return BadInputError(f"The speech model cannot have {name} = {shown(value)}.", hint)


def for_head(config: SpeechModelConfig, head: Head) -> SpeechModelConfig:
    """The configuration with the sizes of a head; components too where the basis is the head's.

    Raises:
        BadInputError: the head does not say which of its vertices are lips.
    """
    if not len(head.regions.get("lips", ())):
        raise BadInputError(
            f"The head {head.id!r} has no region of lips.",
            "Put FLAME_masks.pkl beside the FLAME model, or train on a head that names its lips.",
        )
    expressions = len(head.expression_names)
    return replace(
        config,
        vertices=head.vertex_count,
        expressions=expressions,
        components=config.components if config.learned_basis else expressions,
        lip_vertices=len(head.regions["lips"]),
    )


STARTER = SpeechModelConfig()
"""The shipped model of the default head: its sizes suit a few hours of synthesised speech."""

PERSONAL = replace(
    STARTER,
    encoder="wav2vec2",
    encoder_source="facebook/wav2vec2-base-960h",
    features=768,
    feature_rate=50.0,
    feature_start=0.0125,
    motion_rate=25.0,
    dimension=256,
    feed_forward=1024,
    lip_layers=3,
    wrinkle_layers=1,
    expression_layers=1,
    decoder_layers=4,
    past=32,
    ahead=1,
    components=128,
    learned_basis=True,
    styles=(),
)
"""A person's model from a capture, as it was found better here (docs/speech-model.md)."""

PAPER = replace(
    PERSONAL,
    feature_rate=30.0,
    feature_start=0.0,
    motion_rate=30.0,
    ahead=0,
    inner_interpolation=True,
    lip_feedback=True,
    motion_memory=True,
    staged=True,
)
"""A person's model in the paper's way; its rate becomes that of the recordings."""

PRESETS: dict[str, SpeechModelConfig] = {
    "starter": STARTER,
    "personal": PERSONAL,
    "paper": PAPER,
    "without_alignment_mask": replace(PAPER, alignment_mask=False),
    "without_audio_finetuning": replace(PAPER, finetune_audio=False),
    "without_wrinkle_features": replace(PAPER, wrinkle_features=False),
    "autoregressive": replace(PERSONAL, autoregressive=True),
}
"""Configurations by name; the three ``without_…`` are Table 4's rows that concern speech."""
