"""Turns of training: every program of a comparison trains for a slice, says what it did, and waits.

Run inside each program's own environment, so it needs nothing but Python. What a program prints is a line
`TURN {"triples": ..., "seconds": ...}` (or "examples", whatever its rows are); what it reads is `go`, `stop` (write
the vectors, end) or `quit`.
"""

import json
import os
import sys
import time


class Turns:
    """Counts what was trained, and gives the machine to the others when a slice is over.

    Args:
        slice_s: seconds of training in a turn.
        unit: what a row is.
    """

    def __init__(self, slice_s: float, unit: str = "triples"):
        self._slice_s, self._unit = slice_s, unit
        self._rows, self._seconds = 0, 0.0
        self._since = time.perf_counter()

    def trained(self, rows: int, seconds: float | None = None) -> bool:
        """Notes work done since the last call; waits if the slice is over.

        Args:
            rows: positives or examples trained on.
            seconds: what the program itself says they took; by default the time since the last call.

        Returns:
            Whether to go on.
        """
        now = time.perf_counter()
        self._rows += rows
        self._seconds += now - self._since if seconds is None else seconds
        self._since = now
        if self._seconds < self._slice_s:
            return True
        print("TURN " + json.dumps({self._unit: self._rows, "seconds": self._seconds}), flush=True)
        self._rows, self._seconds = 0, 0.0
        order = sys.stdin.readline().strip()
        if order == "quit":
            os._exit(0)
        self._since = time.perf_counter()
        return order == "go"
