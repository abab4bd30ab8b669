# SPDX-License-Identifier: GPL-3.0-or-later
"""wav2vec 2.0 (Baevski et al. 2020) through transformers: the paper's audio encoder.

Clips of any length are encoded in bounded working memory. Two things in the network see the whole
clip: the GroupNorm of the first convolution, over time, and the transformer's attention. The
statistics of the first are gathered in a pass of their own and then fixed, so the convolutional
features are those of the whole clip exactly. The second sees a window on a fixed grid with context
on both sides; the grid, not the reader, decides, so seams never show.

Where a rate is asked for, the convolutional features are brought to it before the transformer, as
FaceFormer, CodeTalker, Imitator and GaussianSpeech do.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from engine.audio.loading import SAMPLE_RATE, Speech
from engine.core import platforms
from engine.core.arrays import Float
from engine.core.errors import BadInputError, MissingDependencyError
from engine.core.files import is_of_writing, unwritable
from engine.core.progress import Progress, no_progress
from engine.motion.encoders.base import AudioFeatures
from engine.motion.encoders.interpolation import FrequencyInterpolation
from engine.recognition.recognizer import RecognizedSpeech

DEFAULT_SOURCE = "facebook/wav2vec2-base-960h"
_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_OTHER_WEIGHTS = ("pytorch_model.bin", "model.safetensors.index.json")
WINDOW = 16.0
CONTEXT = 2.0
"""Seconds of a window of the transformer, and of what it sees on both sides of it besides."""


class Wav2Vec2Encoder(nn.Module):
    """The network with its preprocessing; trainable but for its convolutions.

    Args:
        network: ``transformers.Wav2Vec2Model``.
        normalise: whether the model was trained on clips of zero mean and unit variance.
        rate: features per second that the transformer is given, the first at 0 s; ``None`` for
            those of the convolutions, 50.
    """

    id = "wav2vec2"

    network: Any

    def __init__(self, network: Any, *, normalise: bool, rate: float | None = None) -> None:
        super().__init__()
        self.network = network
        self.normalise = normalise
        # The convolutional extractor stays frozen, as the field does when it fine-tunes.
        for parameter in self.network.feature_extractor.parameters():
            parameter.requires_grad = False
        config: Any = network.config
        # Spans masked at random are for pretraining; clips shorter than a span would not even run.
        config.apply_spec_augment = False
        self.size: int = int(config.hidden_size)
        self._stride = int(np.prod(config.conv_stride))
        self._receptive = 1
        for kernel, stride in zip(
            reversed(config.conv_kernel), reversed(config.conv_stride), strict=True
        ):
            self._receptive = (self._receptive - 1) * stride + kernel
        self._convolved_rate = self.rate = SAMPLE_RATE / self._stride
        self._convolved_start = self.start = self._receptive / 2 / SAMPLE_RATE
        self._interpolation: FrequencyInterpolation | None = None
        if rate is not None:
            self._interpolation = FrequencyInterpolation(self.rate, self.start, rate)
            self.rate, self.start = rate, 0.0

    def count(self, samples: int) -> int:
        """Features of so many samples; what is too short for one more is left out."""
        convolved = max(0, (samples - self._receptive) // self._stride + 1)
        if self._interpolation is None or not convolved:
            return convolved
        last = self._convolved_start + (convolved - 1) / self._convolved_rate
        return int(last * self.rate + 1e-9) + 1

    def prepared(self, samples: Float) -> Float:
        """The (N,) samples as the network was trained on them."""
        if not self.normalise:
            return samples
        mean, variance = samples.mean(dtype=np.float64), samples.var(dtype=np.float64)
        return np.asarray((samples - mean) / np.sqrt(variance + 1e-7), np.float32)

    def prepared_batch(self, samples: Tensor) -> Tensor:
        """:meth:`prepared` for (B, N) samples, each clip by itself."""
        if not self.normalise:
            return samples
        variance, mean = torch.var_mean(samples, dim=1, correction=0, keepdim=True)
        return (samples - mean) / torch.sqrt(variance + 1e-7)

    def save(self, folder: str | Path) -> None:
        """Write the network as transformers does, for :func:`load_wav2vec2`; whole or not at all.

        Args:
            folder: what is there already is replaced once the new one is complete.

        Raises:
            BadInputError: it cannot be written, or the disk is full.
        """
        from transformers import Wav2Vec2FeatureExtractor

        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        extractor: Any = Wav2Vec2FeatureExtractor
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wav2vec2.") as temporary:
            made = Path(temporary) / "model"
            try:
                with _quiet():
                    self.network.save_pretrained(made)
                extractor(do_normalize=self.normalise).save_pretrained(made)
            except Exception as error:
                if not is_of_writing(error):
                    raise
                raise unwritable(folder, error) from error
            _put_in_place(made, folder, Path(temporary) / "before")

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) prepared samples → (B, M, C), whole clips at once; for training."""
        if self._interpolation is None:
            return cast("Tensor", self.network(samples).last_hidden_state)
        convolved = self.network.feature_extractor(samples).transpose(1, 2)
        return self._transformed(self._interpolation(convolved, self.count(samples.shape[1])))

    def _transformed(self, convolved: Tensor) -> Tensor:
        hidden, _ = self.network.feature_projection(convolved)
        return cast("Tensor", self.network.encoder(hidden).last_hidden_state)

    @torch.inference_mode()
    def encode(
        self,
        speech: Speech,
        recognized: RecognizedSpeech | None = None,  # noqa: ARG002 - of the protocol.
        *,
        text: str | None = None,  # noqa: ARG002 - of the protocol.
        language: str | None = None,  # noqa: ARG002 - of the protocol.
        progress: Progress = no_progress,
    ) -> AudioFeatures:
        """See :meth:`engine.motion.encoders.base.AudioEncoder.encode`."""
        self.eval()
        samples = torch.from_numpy(self.prepared(speech.samples))
        total = self.count(len(samples))
        progress(0.0, "Measuring the recording")
        statistics = self._statistics(samples)
        values = np.empty((total, self.size), np.float32)
        for first, start, stop, last in self._windows(total):
            progress(first / total, "Encoding the audio with wav2vec 2.0")
            encoded = self._transformed(self._inputs(samples, start, stop, statistics))[0]
            values[first:last] = encoded[first - start : last - start].float().cpu().numpy()
        progress(1.0, "Audio encoded")
        return AudioFeatures(values, self.rate, self.start, speech.duration)

    def _windows(self, total: int) -> Iterator[tuple[int, int, int, int]]:
        """First feature, begin and end of the window with context, and end, for each window."""
        window, context = round(WINDOW * self.rate), round(CONTEXT * self.rate)
        for first in range(0, total, window):
            last = min(first + window, total)
            # What is left of a clip goes into its last full window rather than into a stump.
            if total - last <= context:
                last = total
            yield first, max(0, first - context), min(total, last + context), last
            if last == total:
                return

    def _inputs(
        self, samples: Tensor, start: int, stop: int, statistics: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """(1, stop − start, channels) what the transformer is given of the whole clip."""
        between = self._interpolation
        if between is None:
            return self._convolved(samples, start, stop, statistics)
        total = (len(samples) - self._receptive) // self._stride + 1
        first = min(max(0, between.first_feature(start)), total - 1)
        last = min(max(first + 1, between.first_feature(stop - 1) + between.taps), total)
        convolved = self._convolved(samples, first, last, statistics)
        made: Tensor = between(convolved, stop - start, start, first)
        return made

    def _convolved(
        self, samples: Tensor, start: int, stop: int, statistics: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """(1, stop − start, channels) convolutional features of the whole clip."""
        device = next(self.network.parameters()).device
        begin = start * self._stride
        end = (stop - 1) * self._stride + self._receptive
        x: Tensor = samples[None, begin:end].to(device)
        first, *others = self.network.feature_extractor.conv_layers
        if statistics is None:
            x = first(x[:, None])
        else:
            mean, deviation = statistics
            norm = first.layer_norm
            x = (first.conv(x[:, None]) - mean[:, None]) / deviation[:, None]
            x = first.activation(x * norm.weight[:, None] + norm.bias[:, None])
        for layer in others:
            x = layer(x)
        return x.transpose(1, 2)

    def _statistics(self, samples: Tensor) -> tuple[Tensor, Tensor] | None:
        """Mean and deviation over time of the first convolution's channels.

        ``None`` where the network norms each frame by itself.
        """
        layer = self.network.feature_extractor.conv_layers[0]
        norm = getattr(layer, "layer_norm", None)
        if not isinstance(norm, nn.GroupNorm):
            return None
        if norm.num_groups != norm.num_channels:
            raise BadInputError(
                f"This wav2vec 2.0 norms {norm.num_channels} channels in {norm.num_groups} groups.",
                "Use a model of the original layout, such as facebook/wav2vec2-base-960h.",
            )
        config = self.network.config
        kernel, stride = config.conv_kernel[0], config.conv_stride[0]
        total = (len(samples) - kernel) // stride + 1
        device = next(self.network.parameters()).device
        count, mean = 0, torch.zeros(norm.num_channels, dtype=torch.float64, device=device)
        square = torch.zeros_like(mean)
        size = round(WINDOW * SAMPLE_RATE / stride)
        for start in range(0, total, size):
            stop = min(start + size, total)
            block = samples[start * stride : (stop - 1) * stride + kernel].to(device)
            x = layer.conv(block[None, None])[0].double()
            # Chan et al. 1979: sums of squares about the mean, merged block by block.
            n, own = stop - start, x.mean(dim=1)
            delta = own - mean
            square += (x - own[:, None]).square().sum(dim=1)
            square += delta.square() * (count * n / (count + n))
            mean += delta * (n / (count + n))
            count += n
        deviation = torch.sqrt(square / count + norm.eps)
        return mean.float(), deviation.float()


def load_wav2vec2(
    source: str | Path = DEFAULT_SOURCE, rate: float | None = None
) -> Wav2Vec2Encoder:
    """Load the encoder from this machine; nothing is downloaded.

    Args:
        source: a folder with the weights, or the hub id of weights that are in the local cache.
        rate: features per second that its transformer is to be given.

    Raises:
        MissingDependencyError: the weights are not there; says how to get them.
        BadInputError: the folder holds another kind of model, one for another sample rate, or not
            all of its weights.
    """
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    source = str(source)
    _check_files(source)
    try:
        with _quiet():
            config = Wav2Vec2Config.from_pretrained(source, local_files_only=True)
            extractor = Wav2Vec2FeatureExtractor.from_pretrained(source, local_files_only=True)
            if config.model_type == "wav2vec2":
                loaded: Any = Wav2Vec2Model.from_pretrained(
                    source, local_files_only=True, output_loading_info=True
                )
    # transformers, huggingface_hub and safetensors raise exceptions of many kinds.
    except Exception as error:
        if isinstance(error, OSError) and not Path(source).is_dir():
            raise _missing(source) from error
        reason = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"{source} cannot be read as wav2vec 2.0: {reason}",
            f"Give a folder with a whole wav2vec 2.0 model, such as {DEFAULT_SOURCE}.",
        ) from error
    if config.model_type != "wav2vec2":
        raise BadInputError(
            f"{source} is a model of type {config.model_type!r}.",
            f"Give a wav2vec 2.0 model, such as {DEFAULT_SOURCE}.",
        )
    if extractor.sampling_rate != SAMPLE_RATE:
        raise BadInputError(
            f"{source} was trained at {extractor.sampling_rate} Hz.",
            f"Give a model for {SAMPLE_RATE} Hz.",
        )
    network, found = loaded
    # What is missing would be drawn at random; masks of spans are for pretraining alone.
    if missing := sorted(set(found["missing_keys"]) - {"masked_spec_embed"}):
        raise BadInputError(
            f"{source} lacks {len(missing)} weights of wav2vec 2.0, such as {missing[0]}.",
            "Give a complete model; copy or download it again.",
        )
    broken = [n for n, p in network.named_parameters() if not bool(torch.isfinite(p).all())]
    if broken:
        raise BadInputError(
            f"{source} has weights that are NaN or infinite, such as {broken[0]}.",
            "Copy or download it again; one that was trained is to be trained anew.",
        )
    return Wav2Vec2Encoder(network.eval(), normalise=bool(extractor.do_normalize), rate=rate)


def encoder_digest(folder: str | Path) -> str:
    """The sha256 of an encoder's files, by which a model knows the one it was trained with.

    Args:
        folder: what :meth:`Wav2Vec2Encoder.save` wrote.

    Raises:
        MissingDependencyError: it is not complete.
    """
    digest = hashlib.sha256()
    for name in _FILES:
        try:
            with (Path(folder) / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise MissingDependencyError(
                f"{Path(folder) / name}, which the speech model needs, cannot be read.",
                "Copy the model again, with the folder beside it.",
            ) from error
    return digest.hexdigest()


def _put_in_place(made: Path, folder: Path, before: Path) -> None:
    """Give a complete folder its name; the one that had it stays where that fails."""
    if folder.exists():
        platforms.replace(folder, before)
    try:
        platforms.replace(made, folder)
    except OSError:
        if before.exists():
            platforms.replace(before, folder)
        raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what transformers prints while it loads: what is wrong is said in one line here."""
    from transformers.utils import logging as its_logging

    of: Any = its_logging
    level, bars = of.get_verbosity(), of.is_progress_bar_enabled()
    of.set_verbosity(logging.CRITICAL)
    of.disable_progress_bar()
    try:
        yield
    finally:
        of.set_verbosity(level)
        if bars:
            of.enable_progress_bar()


def _check_files(source: str) -> None:
    """See that a folder has all files of a model; transformers would make up its settings.

    Raises:
        MissingDependencyError: it has not; or there is no such folder.
    """
    folder = Path(source)
    if not folder.is_dir():
        # Ids of the hub are NAME or OWNER/NAME.
        if folder.exists() or folder.is_absolute() or len(folder.parts) > 2:
            raise MissingDependencyError(
                f"There is no folder {source}.", "Give the folder that holds wav2vec 2.0."
            )
        return
    weights = [folder / name for name in (_FILES[-1], *_OTHER_WEIGHTS)]
    lacking = [name for name in _FILES[:-1] if not (folder / name).is_file()]
    lacking += [] if any(path.is_file() for path in weights) else [_FILES[-1]]
    if lacking:
        raise MissingDependencyError(
            f"The folder {source} holds no complete wav2vec 2.0 model: it lacks "
            f"{', '.join(lacking)}.",
            f"Copy or download the model again, such as {DEFAULT_SOURCE}.",
        )


def _missing(source: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"The weights of wav2vec 2.0 {source!r} are not on this machine.",
        f"With a connection, run 'hf download {source}' once; or copy the folder here and give "
        "its path.",
    )
