"""A certificate authority for one run, and a TLS terminator for each upstream."""

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import haproxy
from process import Failure, free_port, running, wait_for_port


@dataclass(frozen=True)
class TLS:
    authority: Path  # PEM
    ports: dict  # the upstream's port → the port of its TLS terminator


@dataclass(frozen=True)
class Certificates:
    authority: Path  # PEM
    server: Path  # PEM of the certificate and its key


@contextlib.contextmanager
def terminators(folder, upstream_ports, cores):
    """Runs HAProxy as the TLS terminator of each upstream."""
    certificates = make_certificates(folder)
    ports = {port: free_port() for port in upstream_ports}
    haproxy.write_tls_server(folder / "haproxy.cfg", certificates.server, ports)
    with open(folder / "errors", "w") as errors:
        with running(["haproxy", "-f", folder / "haproxy.cfg"], cores, stderr=errors) as process:
            for port in ports.values():
                wait_for_port(process, port, errors.name)
            yield TLS(certificates.authority, ports)


def make_certificates(folder):
    folder.mkdir()
    authority, key = make_certificate(folder, "authority", [])
    certificate, certificate_key = make_certificate(
        folder, "server", ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-CA", authority, "-CAkey", key]
    )
    server = folder / "both.pem"
    server.write_text(certificate.read_text() + certificate_key.read_text())
    return Certificates(authority, server)


def make_certificate(folder, name, options):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN=benchmark {name}", "-keyout", key, "-out", certificate, *options]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    if result.returncode != 0:
        raise Failure(f"openssl cannot make a certificate:\n{result.stderr}")
    return certificate, key
