"""A TCP relay on loopback that can go silent: connections stay open, and nothing comes through."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Relay:
    """Forwards connections to a port of this machine."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.forwarding = threading.Event()
        self.forwarding.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def lead(self, url: str) -> str:
        """The same URL of PostgreSQL, by way of this relay."""
        return url.replace(f":{self.target}/", f":{self.port}/")

    def cut(self) -> None:
        """End every connection."""
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(here,), daemon=True).start()

    def close(self) -> None:
        self.forwarding.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _join(self, here: socket.socket) -> None:
        self.forwarding.wait()
        try:
            there = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            here.close()
            return
        self._open |= {here, there}
        back = threading.Thread(target=self._pump, args=(there, here), daemon=True)
        back.start()
        self._pump(here, there)
        back.join()
        self._open -= {here, there}
        here.close()
        there.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while said := source.recv(65536):
                self.forwarding.wait()
                target.sendall(said)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """One that runs until the end of the block."""
    opened = Relay(port)
    threading.Thread(target=opened.run, daemon=True).start()
    try:
        yield opened
    finally:
        opened.close()
