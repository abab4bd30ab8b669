# SPDX-License-Identifier: GPL-3.0-or-later
"""Every container and codec: as long as what decodes, each onset where it is, no silent cut.

The sound is noise between two silences, so that a shift by one sample shows in a correlation.
"""

from __future__ import annotations

import struct
from contextlib import closing, suppress

import av
import numpy as np
import pytest
import soundfile

from engine.audio.decoding import open_source
from engine.audio.loading import load_speech
from engine.core.errors import BadInputError, GaussianSpeechError
from tests.waiting import returned

RATE = 48_000
SECONDS = 1.7

SAMPLEWISE = [
    ("wav", "WAV", "PCM_16", None),
    ("wav", "WAV", "PCM_U8", None),
    ("wav", "WAV", "PCM_24", None),
    ("wav", "WAV", "PCM_32", None),
    ("wav", "WAV", "FLOAT", None),
    ("wav", "WAV", "DOUBLE", None),
    ("wav", "WAV", "ALAW", None),
    ("wav", "WAV", "ULAW", None),
    ("wav", "WAV", "PCM_16", "BIG"),  # RIFX
    ("wav", "WAVEX", "PCM_24", None),
    ("wav", "RF64", "PCM_16", None),
    ("w64", "W64", "PCM_16", None),
    ("aiff", "AIFF", "PCM_16", None),
    ("aiff", "AIFF", "PCM_24", None),
    ("aiff", "AIFF", "FLOAT", None),
    ("aiff", "AIFF", "PCM_16", "LITTLE"),
    ("au", "AU", "PCM_16", None),
    ("caf", "CAF", "PCM_16", None),
    ("caf", "CAF", "ALAC_16", None),
    ("flac", "FLAC", "PCM_16", None),
    ("flac", "FLAC", "PCM_24", None),
    ("mat", "MAT5", "FLOAT", None),
]
"""(suffix, libsndfile's format, subtype, byte order), all of which give each sample back."""

LOSSY = [
    ("wav", "GSM610", 0, 0.9),
    ("wav", "MS_ADPCM", 0, 0.98),
    ("wav", "IMA_ADPCM", 4096, 0.98),  # libsndfile writes the length of whole blocks.
    ("wav", "G721_32", 120, 0.98),
    ("ogg", "VORBIS", 0, 0.96),
    ("mp3", "MPEG_LAYER_III", 0, 0.96),
]
"""(suffix, libsndfile's subtype, samples of padding that the file does not mention, likeness)."""

ENCODED = [
    ("a.mp3", "libmp3lame", {}, 0, 0),
    ("a.mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}, 576, 1152),
    ("a.mp3", "libmp3lame", {"write_xing": "0", "write_id3v1": "1"}, 576, 1152),
    ("a.mp2", "mp2", {}, 0, 1152),
    ("a.wav", "libmp3lame", {}, 576, 1152),
    ("a.wav", "mp2", {}, 0, 1152),
    ("a.wav", "adpcm_ima_wav", {}, 0, 2048),
    ("a.wav", "adpcm_ms", {}, 0, 2048),
    ("a.aac", "aac", {}, 0, 1024),
    ("a.m4a", "aac", {}, 0, 64),
    ("a.m4a", "aac", {"use_editlist": "0"}, 0, 64),
    ("a.m4a", "alac", {}, 0, 0),
    ("a.mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}, 0, 64),
    ("a.mov", "pcm_s16le", {}, 0, 0),
    ("a.mov", "adpcm_ima_qt", {}, 0, 64),
    ("a.opus", "libopus", {}, 0, 0),
    ("a.ogg", "flac", {}, 0, 0),
    ("a.webm", "libopus", {}, 0, 960),
    ("a.mkv", "aac", {}, 0, 1024),
    ("a.mkv", "libmp3lame", {}, 0, 1152),
    ("a.mkv", "pcm_s16le", {}, 0, 0),
    ("a.mkv", "ac3", {}, 0, 1536),
    ("a.ts", "aac", {}, 0, 1024),
    ("a.flv", "aac", {}, 0, 1024),
    ("a.avi", "libmp3lame", {}, 576, 1152),
    ("a.ac3", "ac3", {}, 0, 1536),
]
"""(name, codec, muxer options, delay of the encoder that nothing states, padding at most)."""


@pytest.fixture(scope="module")
def sound():
    samples = np.random.default_rng(0).normal(0, 0.1, round(RATE * SECONDS))
    samples = np.convolve(samples, np.hanning(15) / 5, "same")
    samples[: RATE // 2] = samples[-RATE // 5 :] = 0
    return samples.astype(np.float32)


def read(path, first=0, count=None):
    """Mono samples, what is wrong with the file, and its rate."""
    with closing(open_source(path)) as source:
        blocks = [block.mean(axis=1) for block in source.blocks(first, count)]
        return np.concatenate([np.zeros(0, np.float32), *blocks]), source.problem, source.rate


def lag(samples, reference):
    """Samples by which a sound is later than its reference, and how alike the two are."""
    size = 1 << 18
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(spectrum)
    at = int(correlation.argmax())
    norm = np.sqrt((samples**2).sum() * (reference**2).sum())
    return at if at < size // 2 else at - size, correlation.max() / norm


@pytest.mark.parametrize(("suffix", "kind", "subtype", "endian"), SAMPLEWISE)
def test_samples_come_back_as_they_were_written(tmp_path, sound, suffix, kind, subtype, endian):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sound, RATE, format=kind, subtype=subtype, endian=endian)
    samples, problem, rate = read(path)
    assert rate == RATE
    assert not problem
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize(("suffix", "subtype", "padding", "likeness"), LOSSY)
def test_lossy_codecs_of_sound_files_keep_length_and_onset(
    tmp_path, sound, suffix, subtype, padding, likeness
):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sound, RATE, subtype=subtype)
    samples, problem, _ = read(path)
    assert not problem
    assert 0 <= len(samples) - len(sound) <= padding
    late, correlation = lag(samples, sound)
    assert late == 0
    assert correlation > likeness


@pytest.mark.parametrize(("name", "codec", "options", "delay", "padding"), ENCODED)
def test_encoded_files_keep_length_and_onset(
    tmp_path, sound, write_container, name, codec, options, delay, padding
):
    path = tmp_path / name
    write_container(path, codec, sound[None], options)
    samples, problem, rate = read(path)
    assert rate == RATE
    assert not problem
    assert -padding <= len(samples) - len(sound) - delay <= padding
    late, correlation = lag(samples, sound)
    assert late == delay
    assert correlation > 0.96


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.mp3", "a.ogg", "a.w64"])
def test_a_stretch_is_bit_for_bit_that_of_the_whole(tmp_path, sound, name):
    path = tmp_path / name
    soundfile.write(path, sound, RATE)
    whole, *_ = read(path)
    for first, count in [(1, 70_000), (30_001, 4_000), (65_536, None), (81_000, None), (0, 9)]:
        last = None if count is None else first + count
        np.testing.assert_array_equal(read(path, first, count)[0], whole[first:last])


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *(("a.m4a", "aac"), ("a.aac", "aac"), ("a.opus", "libopus"), ("a.mp2", "mp2")),
        *(("a.webm", "libopus"), ("a.mov", "pcm_s16le"), ("a.mkv", "flac"), ("a.ogg", "flac")),
    ],
)
def test_a_stretch_of_an_encoded_file_is_too(tmp_path, sound, write_container, name, codec):
    write_container(tmp_path / name, codec, sound[None])
    whole, *_ = read(tmp_path / name)
    for first, count in [(1_000, 50_000), (60_001, None)]:
        last = None if count is None else first + count
        np.testing.assert_array_equal(read(tmp_path / name, first, count)[0], whole[first:last])


@pytest.mark.parametrize(
    ("name", "frames"), [("a.ogg", n) for n in (10_000, 30_001, 59_256)] + [("a.mp3", 10_000)]
)
def test_short_streams_lose_nothing_at_their_ends(tmp_path, sound, name, frames):
    soundfile.write(tmp_path / name, sound[:frames], RATE)
    assert len(read(tmp_path / name)[0]) == frames


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au", "a.flac", "a.ogg", "a.mp3", "a.w64"])
def test_of_a_file_that_is_cut_short_what_is_there_is_taken_with_a_warning(tmp_path, sound, name):
    path = tmp_path / name
    soundfile.write(path, np.tile(sound, 3), RATE)
    whole = load_speech(path)
    assert not whole.warnings
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    cut = load_speech(path)
    assert 0.3 * whole.duration < cut.duration < 0.75 * whole.duration
    np.testing.assert_allclose(cut.samples[:-50], whole.samples[: len(cut.samples) - 50], atol=1e-3)
    (warning,) = cut.warnings
    assert warning.startswith(f"{name}: the ")


def write_film(path, sound, seconds, start=0.0):
    """A film of so many seconds, whose sound begins later and may end before."""
    with av.open(str(path), "w") as film:
        pictures = film.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 32
        spoken = film.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number in range(round(10 * seconds)):
            frame = av.VideoFrame(32, 32, "yuv420p")
            frame.pts = number
            film.mux(pictures.encode(frame))
        film.mux(pictures.encode(None))
        for first in range(0, len(sound), 4800):
            block = np.int16(30000 * sound[None, first : first + 4800])
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, round(start * RATE) + first
            film.mux(spoken.encode(frame))
        film.mux(spoken.encode(None))


@pytest.mark.parametrize("name", ["a.mkv", "a.mov", "a.avi"])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_pictures_that_outlast_the_sound_are_no_damage(tmp_path, sound, name, start):
    write_film(tmp_path / name, sound, 6.0, start)
    samples, problem, _ = read(tmp_path / name)
    assert problem == ""
    assert lag(samples, sound)[1] > 0.99


def test_of_a_film_that_is_cut_short_the_sound_is_missed(tmp_path, sound):
    path = tmp_path / "a.mkv"
    write_film(path, np.tile(sound, 4), 8.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "the sound ends at" in read(path)[1]


def test_of_a_stretch_before_the_missing_end_nothing_is_said(tmp_path, sound):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE)
    path.write_bytes(path.read_bytes()[:-30_000])
    assert load_speech(path, duration=1.0).warnings == ()
    assert any("a.wav: the sound ends" in w for w in load_speech(path, start=0.5).warnings)


@pytest.mark.parametrize("length", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_written_to_a_pipe_is_whole(tmp_path, sound, length):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE)
    data = path.read_bytes()
    size = struct.pack("<I", length)
    path.write_bytes(data[:4] + size + data[8:40] + size + data[44:])
    samples, problem, _ = read(path)
    assert (len(samples), problem) == (len(sound), "")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.aac", "aac"), ("a.m4a", "aac"), ("a.flac", "flac"), ("a.mkv", "flac")]
)
def test_a_damaged_block_is_silent_and_what_follows_keeps_its_time(
    tmp_path, sound, write_container, name, codec
):
    path = tmp_path / name
    write_container(path, codec, sound[None])
    whole, *_ = read(path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    middle, data = packets[len(packets) // 2], bytearray(path.read_bytes())
    begin = data.index(bytes(middle))
    data[begin + 16 : begin + middle.size] = bytes([255]) * (middle.size - 16)
    path.write_bytes(data)
    samples, problem, _ = read(path)
    assert len(samples) == len(whole)
    assert "damaged" in problem
    assert load_speech(path).warnings == (f"{name}: {problem}.",)
    np.testing.assert_allclose(samples[-9000:], whole[-9000:], atol=1e-4)


ID3V1, APE = b"TAG" + b"x" * 125, b"APETAGEX" + struct.pack("<6I", 2000, 32, 0, 0, 0, 0)


@pytest.mark.parametrize("tail", [ID3V1, APE])
@pytest.mark.parametrize("options", [{}, {"write_xing": "0"}])
def test_tags_round_an_mp3_are_no_damage(tmp_path, sound, write_container, tail, options):
    path = tmp_path / "a.mp3"
    write_container(path, "libmp3lame", sound[None], options | {"id3v2_version": "0"})
    plain, *_ = read(path)
    picture = b"ID3\4\0\0\0\12\0\0" + bytes(10 << 14)
    path.write_bytes(picture + path.read_bytes() + tail)
    samples, problem, _ = read(path)
    assert not problem
    np.testing.assert_array_equal(samples, plain)


def test_recordings_of_two_rates_in_one_file_play_at_the_first(tmp_path, sound, write_container):
    write_container(tmp_path / "a.mp3", "libmp3lame", sound[None], {"write_xing": "0"})
    soundfile.write(tmp_path / "b.mp3", sound[::3], RATE // 3)
    joined = tmp_path / "c.mp3"
    joined.write_bytes((tmp_path / "a.mp3").read_bytes() + (tmp_path / "b.mp3").read_bytes())
    samples, _, rate = read(joined)
    assert rate == RATE
    assert len(samples) == pytest.approx(2 * len(sound), abs=8000)


@pytest.mark.parametrize("channels", [6, 100, 600])
def test_any_number_of_channels_is_read(tmp_path, channels):
    row = np.linspace(0, 0.5, channels, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", np.tile(row, (12_000, 1)), 16_000, subtype="PCM_16")
    np.testing.assert_allclose(read(tmp_path / "a.wav")[0], 0.25, atol=1e-4)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.opus", "libopus")])
def test_eight_planes_are_read(tmp_path, sound, write_container, name, codec):
    write_container(tmp_path / name, codec, np.tile(sound, (8, 1)))
    samples, *_ = read(tmp_path / name)
    assert lag(samples, sound)[0] == 0


_NO_CODEC = struct.pack("<HHIIHHHHI", 0xFFFE, 2, 16000, 96000, 6, 24, 22, 24, 3) + b"\1" * 16

NONSENSE = {
    "nonsense.wav": b"RIFF\xff\0\0\0WAVEfmt \x28\0\0\0"
    + _NO_CODEC
    + b"data\0\0\x10\0"
    + b"abc" * 9,
    "playlist.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2,\na.wav\n#EXT-X-ENDLIST\n",
    "list.txt": b"ffconcat version 1.0\nfile a.wav\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_and_lists_of_other_files_are_refused_in_one_line(tmp_path, sound, name):
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    (tmp_path / name).write_bytes(NONSENSE[name])
    with pytest.raises(BadInputError, match=name) as caught:
        load_speech(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path, monkeypatch, sound):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE)

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(BadInputError, match=r"a\.wav cannot be read: Permission denied"):
        open_source(path)


@pytest.mark.parametrize("name", ["take:1.wav", "-.wav", "%d.wav", "päth ü.wav"])
def test_names_that_mean_something_to_ffmpeg_are_files(tmp_path, monkeypatch, sound, name):
    soundfile.write(tmp_path / "x.wav", sound, RATE)
    (tmp_path / "x.wav").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert load_speech(name).duration == len(sound) / RATE


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a", "a.aac", "a.webm"])
def test_a_mutated_file_is_read_or_refused_and_never_hangs(tmp_path, sound, write_container, name):
    path = tmp_path / name
    codecs = {"a.m4a": "aac", "a.aac": "aac", "a.webm": "libopus"}
    if name in codecs:
        write_container(path, codecs[name], sound[None, :40_000])
    else:
        soundfile.write(path, sound[:40_000], RATE)
    whole, random = path.read_bytes(), np.random.default_rng(0)

    def load():
        with suppress(GaussianSpeechError):
            return load_speech(path)
        return None

    for _ in range(40):
        data = bytearray(whole)
        for at in random.integers(0, min(len(data), random.choice([64, 400, 1 << 30])), 8):
            data[at] = random.integers(256)
        end = random.integers(1, len(data) + 1) if random.random() < 0.3 else None
        path.write_bytes(data[:end])
        if (speech := returned(load)) is not None:
            assert np.isfinite(speech.samples).all()
            assert len(speech.samples) == round(speech.duration * 16_000)
