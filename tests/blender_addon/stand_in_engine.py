# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine process that behaves as its argument says: the real server with methods of its own.

Needs numpy alone, so that the client is tested in every Blender's Python.
"""

import contextlib
import os
import signal
import sys
import time

from engine.core import protocol
from engine.core.errors import BadInputError
from engine.serving.request import Reply
from engine.serving.server import Server, _leave_after_grace, claim_stdout


def hang():
    while True:
        time.sleep(60)


def echo(request):
    return Reply({"value": request.params.text("value", "")}, dict(request.arrays))


def slow(request):
    while True:
        request.progress(0.5, "working")
        time.sleep(0.01)


def refuse(_request):
    raise BadInputError("voice.wav is empty.", "Export it again.")


def chatter(_request):
    print("a library that prints")
    os.write(1, b"and one that writes to the descriptor")
    return Reply({"value": "still understood"})


def die(_request):
    print("something terrible", file=sys.stderr, flush=True)
    os._exit(3)


def freeze(_request):
    os.kill(os.getpid(), signal.SIGSTOP)
    return Reply()


def busy(_request):
    """As a library does that asks nobody whether to stop."""
    hang()


def starve(_request):
    raise MemoryError


def babble(_request):
    """As a library does that writes to whatever descriptor it finds."""
    for descriptor in range(3, 20):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"Warning: low battery\n")
    hang()


METHODS = {"echo": echo, "slow": slow, "refuse": refuse, "chatter": chatter, "die": die}
METHODS |= {"freeze": freeze, "starve": starve, "babble": babble, "busy": busy}
HELLO = {"protocol": protocol.VERSION, "torch": "2.0", "package": "0", "pid": os.getpid()}


def main(behaviour: str) -> int:
    if behaviour == "exits at once":
        print("no licence found", file=sys.stderr)
        return 5
    if behaviour == "lacks a library":
        import a_library_that_nobody_has  # noqa: F401
    stdout = claim_stdout()
    if behaviour == "says nothing":
        hang()
    if behaviour == "greets when told":
        while not os.path.exists(sys.argv[2]):  # noqa: PTH110 - as little as can be imported.
            time.sleep(0.01)
    if behaviour == "speaks in tongues":
        stdout.write(b"Welcome to the remote machine!\n")
        stdout.flush()
        hang()
    if behaviour == "ignores shutdown":
        protocol.write(stdout, protocol.Message("hello", body=HELLO))
        hang()
    changes = {
        "has no torch": {"torch": None, "executable": "/opt/bare/python"},
        "is of another version": {"protocol": 999},
    }
    server = Server(sys.stdin.buffer, stdout, METHODS, on_close=_leave_after_grace)
    return server.run(HELLO | changes.get(behaviour, {}))


sys.exit(main(sys.argv[1]))
