"""HTTP/1.1 servers that keep what they get: a Core, and a substitute for the gateway that ends connections."""

import contextlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass


@dataclass
class Request:
    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes = b""

    def values(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]


def read_head(stream):
    """The start line and fields of a message; None at the end of the connection."""
    start = stream.readline().decode("latin-1").strip()
    if not start:
        return None
    fields = []
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        fields.append((name, value.strip()))
    return start, fields


def read_body(stream, fields, took=lambda count: None):
    values = {name.lower(): value for name, value in fields}
    parts = []

    def take(count):
        while count > 0 and (part := stream.read1(min(count, 65536))):
            parts.append(part)
            count -= len(part)
            took(len(part))

    if values.get("transfer-encoding", "").lower() == "chunked":
        while size := int(stream.readline().split(b";")[0] or b"0", 16):
            take(size)
            stream.readline()
        stream.readline()
    else:
        take(int(values.get("content-length", 0)))
    return b"".join(parts)


class Server:
    """A thread for each connection; keeps every request."""

    def __init__(self, listening):
        self.listening = listening
        self.requests = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, ValueError), connection:
            connection.settimeout(60)
            stream = connection.makefile("rb")
            self.begin(stream)
            while head := read_head(stream):
                method, target, _ = head[0].split(" ", 2)
                request = Request(method, target, head[1])
                self.requests.append(request)
                if not self.answer(connection, stream, request):
                    return

    def begin(self, stream):
        pass

    def seen(self, tag):
        return [request for request in self.requests if f"tag={tag}" in request.target.split("?")[-1].split("&")]


def reply(connection, body):
    fields = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(fields.encode() + body)


class RecordingCore(Server):
    """A Core that answers with the fields of the request, after 1 s if the query has "delay"."""

    def __init__(self):
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self.port = self.listening.getsockname()[1]

    def answer(self, connection, stream, request):
        request.body = read_body(stream, request.fields)
        if "delay=1" in request.target:
            time.sleep(1)
        reply(connection, json.dumps(request.fields).encode())
        return True


class DyingGateway(Server):
    """Has the gateway's socket; ends the connection without a response to a request for /die."""

    def __init__(self, path, has_proxy_header):
        self.has_proxy_header = has_proxy_header
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(64)
        self.body_bytes = 0
        super().__init__(listening)

    def begin(self, stream):
        if self.has_proxy_header:
            header = stream.read(16)
            stream.read(struct.unpack("!H", header[14:16])[0])

    def answer(self, connection, stream, request):
        request.body = read_body(stream, request.fields, self.took)
        if request.target.startswith("/die"):
            connection.shutdown(socket.SHUT_RDWR)
            return False
        reply(connection, b"{}")
        return True

    def took(self, count):
        self.body_bytes += count
