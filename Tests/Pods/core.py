"""A Core that knows one key at a time, and answers as slowly as a request asks."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

REFUSAL = b'''{"error":"Invalid API key",
"error_detail":{"code":"AUTH_INVALID_API_KEY","message":"Invalid API key","details":{}}}'''


class Core(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, key):
        self.key = key
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        delay = parse_qs(urlsplit(self.path).query).get("delay", ["0"])[0]
        time.sleep(float(delay))
        is_known = self.headers["X-Blnk-Key"] == self.server.key
        body = b"[]" if is_known else REFUSAL
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass
