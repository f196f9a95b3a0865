"""A client that sends chosen bytes over TLS, and repeats nothing."""

import contextlib
import json
import socket
from dataclasses import dataclass

from servers import read_body, read_head

HOST = "gateway.example"


@dataclass
class Response:
    status: int | None  # None: the connection ended without one
    fields: list[tuple[str, str]]
    body: bytes = b""
    version: str = ""

    def code(self):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return json.loads(self.body)["error_detail"]["code"]
        return None

    def value(self, name):
        return next((value for field, value in self.fields if field.lower() == name.lower()), None)


class RawClient:
    """A TLS connection whose bytes are chosen one by one."""

    def __init__(self, setup, port, certificate=None, version=None, session=None):
        context = setup.context(certificate, version) if session is None else session[0]
        plain = socket.create_connection(("127.0.0.1", port), 10)
        self.socket = context.wrap_socket(plain, server_hostname=HOST, session=session and session[1])
        self.context = context
        self.stream = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def response(self):
        try:
            while head := read_head(self.stream):
                status = int(head[0].split(" ")[1])
                if status >= 200:
                    return Response(status, head[1], read_body(self.stream, head[1]))
        except (OSError, ValueError, IndexError):
            pass
        return Response(None, [])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()
