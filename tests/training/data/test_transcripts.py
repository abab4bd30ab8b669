# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts beside sounds, as editors of all systems save them."""

import pytest

from engine.core.errors import BadInputError
from training.data.recordings import Recording
from training.data.transcripts import transcript_beside

TEXT = "Über Café und Straße."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_text_is_read_in_any_encoding_that_editors_write(tmp_path, encoding):
    sound = tmp_path / "clip.wav"
    assert transcript_beside(sound) is None
    sound.with_suffix(".txt").write_bytes(TEXT.encode(encoding))
    assert Recording("clip", sound, sound).text == TEXT


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "clip.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    with pytest.raises(BadInputError, match=r"clip\.txt"):
        transcript_beside(tmp_path / "clip.wav")
