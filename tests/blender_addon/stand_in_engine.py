# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine process that behaves as its argument says: the real server with methods of its own.

Needs numpy alone, so that the client is tested in every Blender's Python.
"""

import os
import sys
import time

from engine.core import protocol
from engine.core.errors import BadInputError
from engine.serving.request import Reply
from engine.serving.server import Server, claim_stdout


def echo(request):
    return Reply({"value": request.params.text("value", "")}, dict(request.arrays))


def slow(request):
    for step in range(2000):
        request.progress(step / 2000, "working")
        time.sleep(0.01)
    return Reply()


def refuse(_request):
    raise BadInputError("voice.wav is empty.", "Export it again.")


def chatter(_request):
    print("a library that prints")
    os.write(1, b"and one that writes to the descriptor")
    return Reply({"value": "still understood"})


def die(_request):
    print("something terrible", file=sys.stderr, flush=True)
    os._exit(3)


METHODS = {"echo": echo, "slow": slow, "refuse": refuse, "chatter": chatter, "die": die}
HELLO = {"protocol": protocol.VERSION, "torch": "2.0", "package": "0", "pid": os.getpid()}


def main(behaviour: str) -> int:
    if behaviour == "exits at once":
        print("no licence found", file=sys.stderr)
        return 5
    if behaviour == "lacks a library":
        import a_library_that_nobody_has  # noqa: F401
    stdout = claim_stdout()
    if behaviour == "says nothing":
        time.sleep(60)
    if behaviour == "speaks in tongues":
        stdout.write(b"Welcome to the remote machine!\n")
        stdout.flush()
        time.sleep(60)
    if behaviour == "ignores shutdown":
        protocol.write(stdout, protocol.Message("hello", body=HELLO))
        time.sleep(60)
    changes = {
        "has no torch": {"torch": None, "executable": "/opt/bare/python"},
        "is of another version": {"protocol": 999},
    }
    return Server(sys.stdin.buffer, stdout, METHODS).run(HELLO | changes.get(behaviour, {}))


sys.exit(main(sys.argv[1]))
