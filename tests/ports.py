"""Ports for the programs that tests start, also where several runs of tests share the machine."""

import socket


def own_port(wanted: int = 0) -> int:
    """A port of 127.0.0.1, any or the one wanted, that nobody else is given while this process lives.

    It is bound here and not listened at, so the kernel gives it to no other who asks for any port, and the program that
    was told its number can still listen at it. Raises OSError where the one wanted is another's.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", wanted))
    port = int(held.getsockname()[1])
    held.detach()  # stays open, and is closed with the process
    return port
