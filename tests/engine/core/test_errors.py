# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from engine.core.errors import MAX_LENGTH, BadInputError


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\x1bb", "a\ud800b", "a\u2028b"])
def test_what_a_file_puts_into_a_message_stays_one_printable_line(text):
    error = BadInputError(f"x.npz holds {text}.", text)
    assert error.message == "x.npz holds a b."
    assert error.hint == "a b"
    assert str(error).isprintable()


def test_a_long_message_keeps_its_start_and_its_end():
    message = BadInputError("start" + "x" * 1000 + "end").message
    assert len(message) <= MAX_LENGTH
    assert message.startswith("start")
    assert message.endswith("end")


def test_letters_of_every_script_stay():
    assert BadInputError("Größe 頭 голова «×» …").message == "Größe 頭 голова «×» …"
