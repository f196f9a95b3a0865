"""The checks. The docstring of each is what it prints."""

import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time

from clients import HOST, RawClient
from faults import require, until
from servers import DyingGateway, Request
from setup import stop

BODY_BYTES_MAX = 5_242_880
H2LOAD_REQUESTS, H2LOAD_CONNECTIONS = 3000, 64
CERTIFICATE_FIELD = "X-Forwarded-Client-Cert-SHA256"
BALANCE = b'{"ledger_id": "general_ledger_id", "currency": "USD"}'
SANDBOX = "/proxy/balances?instance_id=sandbox"
RECORDING = "/proxy/balances?instance_id=recording"


def serves(trial):
    """serves reads and writes with TLS 1.2 and 1.3"""
    for version in trial.versions():
        for tls in ("1.2", "1.3"):
            tls_options = (f"--tlsv{tls}", "--tls-max", tls)
            trial.expect(200, SANDBOX, *tls_options, version=version)
            trial.expect(201, SANDBOX, *tls_options, "-d", BALANCE.decode(), version=version)
    if not trial.front.h2:
        response = trial.curl(SANDBOX, version="2")
        require(response.version == "1.1", f"ALPN chose HTTP/{response.version}; the gateway speaks HTTP/1.1")


def refuses_old_tls(trial):
    """refuses TLS 1.1 and ciphers without forward secrecy or AEAD"""
    for options in (("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"), ("-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA")):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{trial.port}", "-servername", HOST, *options]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=20)
        alert = re.search(rb"alert (protocol version|handshake failure)", done.stdout + done.stderr)
        require(alert, f"openssl s_client {' '.join(options)} got no alert: {done.stderr[-400:]!r}")


def reports_clients(trial):
    """reports the client's address and https, and drops what the client says itself"""
    forged = ("192.0.2.9", "198.51.100.9")
    fields = [
        f"X-Forwarded-For: {forged[0]}", f"X-Forwarded-For: {forged[1]}, {forged[0]}", f"X_Forwarded_For: {forged[0]}",
        f"Forwarded: for={forged[0]};proto=http", f"X-Real-IP: {forged[0]}", "X-Forwarded-Proto: http",
        "X_Forwarded_Proto: http", f"{CERTIFICATE_FIELD}: {trial.setup.digest}", "X-Forwarded-Client-Cert: Hash=1",
    ]  # fmt: skip
    arguments = [word for field in fields for word in ("-H", field)]
    for version in trial.versions():
        hop_by_hop = ["-H", f"Connection: X-Forwarded-For, X-Forwarded-Proto, {CERTIFICATE_FIELD}"]
        for extra in ([], arguments, arguments + hop_by_hop if version == "1.1" else []):
            response = trial.expect(200, RECORDING, *extra, source="127.0.0.2", version=version)
            core = Request("", "", json.loads(response.body))
            for name, expected in (("X-Forwarded-For", ["127.0.0.2"]), ("X-Forwarded-Proto", ["https"])):
                require(core.values(name) == expected, f"Core got {name} {core.values(name)} instead of {expected}")
            text = str(core.fields).lower()
            for text_of_client in (*forged, "client-cert", "x_forwarded", trial.setup.digest):
                require(text_of_client.lower() not in text, f"Core got {text_of_client!r}: {core.fields}")
            line = trial.log_line(response.value("X-Request-Id"))
            require(line["peer"] == "127.0.0.2", f'the access log has "peer": {line["peer"]!r}')
            require(line.get("via") == "unix", f'the access log has "via": {line.get("via")!r}')


def honors_networks(trial):
    """honors a client's networks"""
    forged = ("-H", "X-Forwarded-For: 127.0.0.2")
    for version in trial.versions():
        trial.expect(200, SANDBOX, client="near", source="127.0.0.2", version=version)
        for arguments in ((), forged, (*forged, "-H", "Connection: X-Forwarded-For") if version == "1.1" else forged):
            refused = dict(code="GATEWAY_NETWORK_FORBIDDEN", client="near", source="127.0.0.3", version=version)
            trial.expect(403, SANDBOX, *arguments, **refused)


def withstands_load(trial):
    """serves many connections at once without an error"""
    for version in trial.versions():
        command = ["h2load", "-n", str(H2LOAD_REQUESTS), "-c", str(H2LOAD_CONNECTIONS), "-t", "1", "-T", "20", "-N", "20"]
        command += ["-m", "2"] if version == "2" else ["--h1"]
        command += ["-H", f"Authorization: Bearer {trial.setup.tokens['app']}", f"--connect-to=127.0.0.1:{trial.port}"]
        done = subprocess.run([*command, f"https://{HOST}{SANDBOX}"], capture_output=True, text=True, timeout=60)
        expected = f"{H2LOAD_REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout"
        codes = f"status codes: {H2LOAD_REQUESTS} 2xx"
        require(expected in done.stdout and codes in done.stdout, f"h2load, HTTP/{version}:\n{done.stdout}{done.stderr}")


AMBIGUOUS = {
    "Content-Length and Transfer-Encoding": (["Content-Length: 3", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "two lengths": (["Content-Length: 2", "Content-Length: 3"], b"{}x"),
    "a folded field": (["X-Folded: a", " b", "Content-Length: 2"], b"{}"),
    "a bad chunk": (["Transfer-Encoding: chunked"], b"0x2\r\n{}\r\n0\r\n\r\n"),
    "a space before the colon": (["Content-Length : 2"], b"{}"),
    "NUL in a field": (["X-Nul: a\0b", "Content-Length: 2"], b"{}"),
    "an unknown coding": (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
}
AMBIGUOUS_IN_HTTP2 = ("transfer-encoding: chunked", "content-length: 1", "content-length: 3")


def require_repaired(name, status, seen):
    """Core saw one request, with one length and without folded fields."""
    require(status == 200 and len(seen) == 1, f"{name}: status {status}, Core saw {len(seen)} requests")
    framing = seen[0].values("Content-Length") + seen[0].values("Transfer-Encoding")
    require(len(framing) == 1, f"{name}: Core got {framing}")
    require(not any("\n" in value for _, value in seen[0].fields), f"{name}: Core got {seen[0].fields}")


def rejects_ambiguous_requests(trial):
    """rejects ambiguous requests before Core sees them"""
    for name, (fields, body) in AMBIGUOUS.items():
        tag = trial.tag()
        target = f"{RECORDING}&tag={tag}"
        with RawClient(trial.setup, trial.port) as client:
            client.socket.settimeout(5)
            client.send(trial.raw_head("POST", target, *fields) + body)
            status = client.response().status
        seen = trial.setup.core.seen(tag)
        if name in trial.front.repairs:
            require_repaired(name, status, seen)
            continue
        # Caddy answers 502 to a chunk that it finds invalid while it forwards the body.
        require(status is None or 400 <= status <= 502, f"{name}: status {status}")
        require(not seen, f"{name}: status {status}, but Core saw {seen}")
    body = trial.folder / "body"
    body.write_bytes(b"{}")
    for field in AMBIGUOUS_IN_HTTP2 if trial.front.h2 else ():
        tag = trial.tag()
        command = ["nghttp", "-nv", "-t", "5", "-d", body, "--no-content-length", "-H", field, "-H", f":authority: {HOST}"]
        command += ["-H", f"Authorization: Bearer {trial.setup.tokens['app']}"]
        command += [f"https://127.0.0.1:{trial.port}{RECORDING}&tag={tag}"]
        output = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=20).stdout
        status = re.search(r":status: (\d+)", output)
        seen = trial.setup.core.seen(tag)
        require(status or "PROTOCOL_ERROR" in output, f"HTTP/2, {field}: no response:\n{output}")
        if field in trial.front.repairs:
            require_repaired(field, int(status[1]), seen)
            require(seen[0].body == b"{}", f"HTTP/2, {field}: Core got the body {seen[0].body!r}")
            continue
        require(not status or 400 <= int(status[1]) <= 502, f"HTTP/2, {field}: status {status and status[1]}")
        require(not seen, f"HTTP/2, {field}: Core saw {seen}")
    trial.expect(200, RECORDING)


def bounds_bodies(trial):
    """accepts a body of 5 MiB and rejects a longer one"""
    file = trial.folder / "body"
    for version in trial.versions():
        for size, status in ((BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413)):
            tag = trial.tag()
            file.write_bytes(b"0" * size)
            trial.expect(status, f"{RECORDING}&tag={tag}", "--data-binary", f"@{file}", version=version)
            lengths = [len(request.body) for request in trial.setup.core.seen(tag)]
            require(lengths == ([size] if status == 200 else []), f"Core got bodies of {lengths} bytes")


def hides_admin(trial):
    """does not reach the admin endpoint, and its own sockets admit only its user"""
    for own in (trial.folder / "front").rglob("*.sock"):
        mode = own.stat().st_mode & 0o777
        require(mode == 0o600, f"{own.name} has mode {mode:o}")
    for path in ("/livez", "/readyz", "/metrics", "/status", "/policy"):
        for version in trial.versions():
            response = trial.curl(path, version=version)
            require(response.status in (400, 401, 403, 404), f"{path}: {response.status}")


def reports_certificates(trial):
    """reports a client's certificate, also when a session is resumed"""
    def certificate(name):
        return ("--cert", trial.setup.folder / f"{name}.pem", "--key", trial.setup.folder / f"{name}.key")

    mismatch = dict(code="GATEWAY_CERTIFICATE_MISMATCH", client="bound")
    forged = ("-H", f"{CERTIFICATE_FIELD}: {trial.setup.digest}")
    for version in trial.versions():
        trial.expect(200, SANDBOX, *certificate("client"), client="bound", version=version)
        for arguments in ((), forged, certificate("other"), (*certificate("other"), *forged)):
            trial.expect(401, SANDBOX, *arguments, version=version, **mismatch)
        response = trial.curl(SANDBOX, *certificate("unknown"), *forged, client="bound", version=version)
        require(response.status in (None, 401), f"a certificate of an unknown authority: {response.status}")
        trial.expect(200, SANDBOX, version=version)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        session = None
        for is_second in (False, True):
            with RawClient(trial.setup, trial.port, "client", version, session) as client:
                client.send(trial.raw_head("GET", SANDBOX, client="bound"))
                response = client.response()
                what = f"{version.name}, second connection: {is_second}"
                require(response.status == 200, f"{what}: {response.status} {response.body!r}")
                require(client.socket.session_reused == is_second, f"{what}: resumed: {client.socket.session_reused}")
                session = (client.context, client.socket.session)


def never_repeats(trial):
    """does not repeat a request whose connection to the gateway ended, on a new or a reused connection"""
    path = trial.folder / "dying.sock"
    dying = DyingGateway(path, trial.front.passes_bytes)
    trial.setup.stack.callback(dying.listening.close)
    port = trial.start_front("dying", "dying.sock")
    for method, body in (("POST", b"{}"), ("POST", b""), ("PUT", b"{}"), ("DELETE", b"")):
        for fields in ((), ("Idempotency-Key: order-1",)):
            for reused in (False, True):
                tag = trial.tag()
                with RawClient(trial.setup, port) as client:
                    if reused:
                        client.send(trial.raw_head("POST", "/live", "Content-Length: 0"))
                        require(client.response().status == 200, "no response of the substitute for the gateway")
                    length = (f"Content-Length: {len(body)}",) if method != "DELETE" else ()
                    client.send(trial.raw_head(method, f"/die?tag={tag}", *length, *fields) + body)
                    status = client.response().status
                what = f"{method} with {len(body)} bytes {' '.join(fields)}, reused connection: {reused}"
                # Without a response on a reused connection, some clients repeat the request.
                require(status == (None if trial.front.passes_bytes else 502), f"{what}: status {status}")
                require(len(dying.seen(tag)) == 1, f"{what}: the gateway got it {len(dying.seen(tag))} times")
    # curl repeats requests on reused connections that end, and after RST_STREAM(REFUSED_STREAM).
    for version in trial.versions() if not trial.front.passes_bytes else ():
        tag = trial.tag()
        common = ("-sS", "--cacert", trial.setup.folder / "ca.pem", f"--http{version}", "-d", "{}")
        common += ("--resolve", f"{HOST}:{port}:127.0.0.1", "-o", os.devnull, "-w", "%{http_code} %{num_connects}\n")
        live, die = (f"https://{HOST}:{port}{path}" for path in ("/live", f"/die?tag={tag}"))
        done = trial.run_curl(*common, live, "--next", *common, die)
        require(done.stdout == "200 1\n502 0\n", f"curl with HTTP/{version}: {done.stdout!r} {done.stderr!r}")
        require(len(dying.seen(tag)) == 1, f"curl with HTTP/{version}: the gateway got it {len(dying.seen(tag))} times")
    trial.dying, trial.dying_port = dying, port


def streams_bodies(trial):
    """passes a body on before its end"""
    before = trial.dying.body_bytes
    with RawClient(trial.setup, trial.dying_port) as client:
        client.send(trial.raw_head("POST", "/live", "Content-Length: 200000") + b"0" * 100_000)
        until(lambda: trial.dying.body_bytes - before > 50_000, 5, "the gateway did not get the first part of a body in 5 s")
        client.send(b"0" * 100_000)
        require(client.response().status == 200, "no response after the body")


def survives_gateway(trial):
    """does not repeat a write when the gateway ends, and serves again when it is back"""
    tag = trial.tag()
    answers = []

    def write():
        with RawClient(trial.setup, trial.port) as client:
            client.send(trial.raw_head("GET", RECORDING))
            answers.append(client.response().status)
            client.send(trial.raw_head("POST", f"{RECORDING}&delay=1&tag={tag}", "Content-Length: 2") + b"{}")
            answers.append(client.response().status)

    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: trial.setup.core.seen(tag), 5, "Core did not get the write")
    stop(trial.gateway, signal.SIGKILL)
    trial.gateway = trial.start_gateway()
    writer.join(20)
    require(answers == [200, None if trial.front.passes_bytes else 502], f"statuses {answers}")
    trial.expect(200, RECORDING)
    time.sleep(1)
    require(len(trial.setup.core.seen(tag)) == 1, f"Core got the write {len(trial.setup.core.seen(tag))} times")


CHECKS = (
    serves, refuses_old_tls, reports_clients, honors_networks, reports_certificates, rejects_ambiguous_requests, bounds_bodies,
    hides_admin, withstands_load, never_repeats, streams_bodies, survives_gateway,
)  # fmt: skip
