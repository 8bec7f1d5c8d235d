"""A TCP connection to a server that a test can cut."""

import contextlib
import socket
import threading
import time
from typing import Self


class Wire:
    """Listens on a port of its own and passes everything on."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._is_cut = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self, away_s: float = 0.0) -> int:
        """End every connection, and those that are made within `away_s`; how many there were."""
        self._is_cut = True
        ended = [one for one in self._open if _end(one)]
        self._open.clear()
        time.sleep(away_s)
        self._is_cut = False
        return len(ended) // 2

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._is_cut:
                    _end(near)
                    continue
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    _end(one)
    _end(other)


def _end(one: socket.socket) -> bool:
    """False if it had ended before."""
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return False
    finally:
        one.close()
    return True
