# SPDX-License-Identifier: GPL-3.0-or-later
"""What native code writes to stderr: left out of it, but not lost where it ends the process."""

import os
import subprocess
import sys

import pytest

from training.tracking.native_messages import native_messages_in

MESSAGE = b"W0000 nothing that matters\n"


def test_native_messages_are_left_out_and_pythons_are_not(tmp_path, capfd):
    with native_messages_in(tmp_path / "native.log"):
        os.write(2, MESSAGE)
        assert (tmp_path / "native.log").read_bytes() == MESSAGE
        print("Frame 7 of 9", file=sys.stderr)
    os.write(2, b"and again\n")
    assert capfd.readouterr().err == "Frame 7 of 9\nand again\n"
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_stderr_is_as_it_was(tmp_path, capfd):
    with pytest.raises(KeyError), native_messages_in(tmp_path / "native.log"):
        raise KeyError
    print("Cancelled", file=sys.stderr)
    os.write(2, b"and native\n")
    assert capfd.readouterr().err == "Cancelled\nand native\n"
    assert list(tmp_path.iterdir()) == []


def test_last_words_stay(tmp_path):
    ends = (
        "import os, sys; from pathlib import Path; "
        "from training.tracking.native_messages import native_messages_in\n"
        "with native_messages_in(Path(sys.argv[1])):\n"
        "    os.write(2, b'F0000 no memory'); os._exit(3)"
    )
    done = subprocess.run([sys.executable, "-c", ends, tmp_path / "native.log"], check=False)
    assert done.returncode == 3
    assert (tmp_path / "native.log").read_text() == "F0000 no memory"


def test_without_room_for_them_messages_are_as_ever(tmp_path, capfd):
    with native_messages_in(tmp_path / "missing" / "native.log"):
        os.write(2, MESSAGE)
    assert capfd.readouterr().err == MESSAGE.decode()
