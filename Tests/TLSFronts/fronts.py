"""The fronts of deploy/tls, and how a test runs them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Front:
    name: str
    package: str
    config: str
    command: tuple[str, ...]  # CONFIG and FOLDER are replaced
    replacements: dict[str, str]  # a value names a key of `places`; each text must be in the configuration
    h2: bool = True
    passes_bytes: bool = False  # the gateway itself parses what clients send
    repairs: tuple[str, ...] = ()  # ambiguous requests that it forwards in another form, as RFC 9112 allows


HAPROXY = {
    " user haproxy": "user",
    " group haproxy": "group",
    "/dev/log": "log",
    "  maxconn 10000\n": "maxconn",
    ":443": "address",
    "/etc/haproxy/certs/gateway.pem": "bundle",
    "/run/blnk-gateway/proxy.sock": "socket",
}
FRONTS = [
    Front(
        "haproxy-http",
        "haproxy",
        "haproxy-http.cfg",
        ("haproxy", "-db", "-f", "CONFIG"),
        HAPROXY | {"/etc/haproxy/client-ca.pem": "ca", "/run/haproxy/blnk-writes.sock": "writes"},
        repairs=("Content-Length and Transfer-Encoding", "a folded field"),
    ),
    Front(
        "haproxy-tcp", "haproxy", "haproxy-tcp.cfg", ("haproxy", "-db", "-f", "CONFIG"), HAPROXY, h2=False, passes_bytes=True
    ),
    Front(
        "nginx",
        "nginx-light",
        "nginx.conf",
        ("nginx", "-p", "FOLDER", "-c", "CONFIG", "-g", "daemon off;"),
        {
            "user www-data;": "nginx_user",
            "/run/nginx.pid": "pid",
            "/var/log/nginx/error.log": "errors",
            "http {": "nginx_http",
            "listen 443": "nginx_listen",
            "/etc/nginx/certs/gateway.pem": "certificate",
            "/etc/nginx/certs/gateway.key": "key",
            "/run/blnk-gateway/proxy.sock": "socket",
        },
        repairs=("transfer-encoding: chunked",),
    ),
    Front(
        "caddy",
        "caddy",
        "Caddyfile",
        ("caddy", "run", "--adapter", "caddyfile", "--config", "CONFIG"),
        {
            ":443 {": "caddy_site",
            "/etc/caddy/certs/gateway.pem": "certificate",
            "/etc/caddy/certs/gateway.key": "key",
            "/etc/caddy/client-ca.pem": "ca",
            "/run/blnk-gateway/proxy.sock": "socket",
        },
        repairs=("Content-Length and Transfer-Encoding", "a folded field"),
    ),
]
