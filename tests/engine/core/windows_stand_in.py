# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows as far as the project asks it for anything: its functions, and how a process is started.

What they do is not known from a test on another system, only what they are asked.
"""

from __future__ import annotations

import ctypes
import subprocess

import pytest

from engine.core import platforms


class Function:
    """A function of a library, with the attributes that ctypes' have."""

    def __init__(self, function):
        self._function = function

    def __call__(self, *arguments):
        return self._function(*arguments)


class Windows:
    """Its functions, and what they were asked.

    Attributes:
        calls: name and arguments of each.
        fails: names of those that report failure.
        commands: processes that were started, with their options.
        mutexes: names of those that are open, by handle.
    """

    def __init__(self):
        self.calls, self.fails, self.commands, self.mutexes, self.error = [], set(), [], {}, 0
        self._functions = {}

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        known = {"CreateMutexW": self._create_mutex, "CloseHandle": self._close}
        work = known.get(name, lambda *_arguments: name not in self.fails)

        def call(*arguments):
            self.calls.append((name, *arguments))
            return work(*arguments)

        return self._functions.setdefault(name, Function(call))

    def called(self):
        return [name for name, *_ in self.calls]

    def _create_mutex(self, _security, _owned, name):
        self.error = 183 if name in self.mutexes.values() else 0
        handle = len(self.calls)
        self.mutexes[handle] = name
        return handle

    def _close(self, handle):
        self.mutexes.pop(handle.value, None)
        return 1


@pytest.fixture
def windows(monkeypatch):
    windows = Windows()
    monkeypatch.setattr(platforms, "WINDOWS", True)
    monkeypatch.setattr(platforms, "LINUX", False)
    monkeypatch.setattr(ctypes, "WinDLL", lambda *_arguments, **_options: windows, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: windows.error, raising=False)
    monkeypatch.setattr(ctypes, "WinError", lambda code: OSError(code, "refused"), raising=False)

    def start(self, command, **options):
        windows.commands.append((command, options))
        self._handle, self.returncode, self.pid = 77, 0, 4
        if "breakaway" in windows.fails and options["creationflags"] & 0x01000000:
            raise PermissionError(5, "access denied")

    monkeypatch.setattr(subprocess.Popen, "__init__", start)
    monkeypatch.setattr(subprocess.Popen, "__del__", lambda _self: None)
    return windows
