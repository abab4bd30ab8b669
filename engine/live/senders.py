# SPDX-License-Identifier: GPL-3.0-or-later
"""Where live frames go: JSON lines, or packets to another program."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, Protocol

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.live import live_link, osc
from engine.motion.arkit import ARKIT_NAMES, COLUMN

_MOST_DENOMINATOR = 1001
"""Of a frame rate: 23.976 is 24000/1001."""


class Sender(Protocol):
    """Takes frames."""

    def send(self, frame: int, seconds: float, weights: Float) -> None:
        """Take one frame.

        Args:
            frame: its number.
            seconds: its time in the sound.
            weights: (52,) as :data:`engine.motion.arkit.ARKIT_NAMES`.

        Raises:
            BadInputError: it cannot be sent.
        """

    def close(self) -> None:
        """Let go of what it holds."""


class JsonLines:
    """``{"frame": 12, "time": 0.2, "weights": {"jawOpen": 0.31, …}}`` a line, at once.

    Args:
        descriptor: of the file or pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, frame: int, seconds: float, weights: Float) -> None:
        """See :class:`Sender`."""
        values = dict(zip(ARKIT_NAMES, (round(float(w), 4) for w in weights), strict=True))
        line = {"frame": frame, "time": round(seconds, 4), "weights": values}
        data = (json.dumps(line, separators=(",", ":")) + "\n").encode()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise BadInputError(
                f"The JSON lines cannot be written: {error.strerror}.",
                "What reads them has ended; start it again.",
            ) from error

    def close(self) -> None:
        """Nothing is held."""


class _Packets:
    """UDP packets to a host; nobody has to be there.

    Raises:
        BadInputError: no such host or port.
    """

    def __init__(self, host: str, port: int) -> None:
        if not 0 < port < 1 << 16:
            raise BadInputError(f"There is no port {port}.", "Choose one from 1 to 65535.")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise BadInputError(f"There is no host {host!r}: {error}.", "Check --host.") from error
        family, kind, protocol, _, address = found[0]
        self._address: tuple[Any, ...] = address
        self._socket = socket.socket(family, kind, protocol)

    def _send(self, packets: Sequence[bytes]) -> None:
        try:
            for packet in packets:
                self._socket.sendto(packet, self._address)
        except OSError as error:
            raise BadInputError(
                f"Nothing can be sent to {self._address[0]}: {error.strerror}.",
                "Check --host and the network.",
            ) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class OscSender(_Packets):
    """The VMC protocol (:mod:`engine.live.osc`)."""

    def send(self, frame: int, seconds: float, weights: Float) -> None:  # noqa: ARG002
        """See :class:`Sender`."""
        self._send(osc.packets(seconds, [float(weight) for weight in weights]))


class LiveLinkSender(_Packets):
    """Live Link Face (:mod:`engine.live.live_link`); its frames count from midnight.

    Args:
        host, port: where Unreal Engine waits.
        subject: the name that it shows.
        fps: frames per second.
    """

    def __init__(self, host: str, port: int, subject: str, fps: float) -> None:
        super().__init__(host, port)
        self._subject = subject
        self._device = str(uuid.uuid4()).upper()
        self._rate = Fraction(fps).limit_denominator(_MOST_DENOMINATOR)
        now = datetime.now()  # noqa: DTZ005 - time codes are local.
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self._first = int((now - midnight).total_seconds() * self._rate)

    def send(self, frame: int, seconds: float, weights: Float) -> None:  # noqa: ARG002
        """See :class:`Sender`."""
        values = [float(weight) for weight in weights]
        made = live_link.packet(
            self._device, self._subject, self._first + frame, self._rate, values
        )
        self._send([made])


def arkit_columns(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of a head's column and ARKit's, for the expressions that the head has."""
    return [(i, COLUMN[name]) for i, name in enumerate(names) if name in COLUMN]
