"""HAProxy's configuration for the gateway's job: tokens by SHA-256, scopes, instances, keys, a JSON log line."""

from data import digest, write_lines

CONFIGURATION = r"""
global
  nbthread 1
  maxconn 9000
{settings}  # With thousands of requests in flight, the defaults close connections to the instances after each response.
  tune.pool-low-fd-ratio 100
  tune.pool-high-fd-ratio 100
  log stdout format raw local0 info
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  option http-keep-alive
  log global
frontend gateway
  bind 127.0.0.1:{port} backlog 4096
{further_binds}  unique-id-format %{{+X}}o\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-ID
  log-format '{{"ts":"%T.%ms","ip":"%ci","method":"%HM","path":"%[var(txn.path),json]","status":%ST,"client":"%[var(txn.client)]","instance":"%[var(txn.inst),json]","bytes":%B,"ms":%Ta,"up_ms":%Tr,"rid":"%ID"}}'
  http-request return status 404 content-type application/json string '{{"error":"not found"}}' unless {{ path -m beg /proxy/balances/ }} || {{ path /proxy/balances }}
  http-request set-var(txn.path) path
  http-request set-var(txn.client) http_auth_bearer,sha2(256),hex,map_str({maps}/tokens.map)
  http-request return status 401 content-type application/json string '{{"error":"unauthorized"}}' unless {{ var(txn.client) -m found }}
  http-request set-var(txn.scope) var(txn.client),map_str({maps}/scopes.map)
  acl is_read method GET
  acl is_write method POST PUT DELETE
  acl can_read var(txn.scope) -m str r rw
  acl can_write var(txn.scope) -m str w rw
  http-request return status 403 content-type application/json string '{{"error":"insufficient scope"}}' unless is_read can_read or is_write can_write
  http-request set-var(txn.inst) url_param(instance_id)
  http-request set-var(txn.be) var(txn.inst),map_str({maps}/instances.map)
  http-request return status 404 content-type application/json string '{{"error":"unknown instance"}}' unless {{ var(txn.be) -m found }}
  http-request set-var(txn.pair) var(txn.client),concat(/,txn.inst)
  http-request set-var(txn.star) var(txn.client),concat(/*)
  acl pair_ok var(txn.pair),map_str({maps}/grants.map) -m found
  acl all_ok var(txn.star),map_str({maps}/grants.map) -m found
  http-request return status 403 content-type application/json string '{{"error":"instance not allowed"}}' unless pair_ok or all_ok
  http-request set-header X-blnk-key %[var(txn.inst),map_str({maps}/keys.map)]
  http-request del-header Authorization
  http-request set-path %[path,regsub(^/proxy,)]
  http-request set-query "%[query,regsub('&instance_id=[^&]*',''),regsub('^instance_id=[^&]*&?','')]"
  http-request set-pathq %[path] unless {{ query -m len gt 0 }}
  use_backend %[var(txn.be)]
"""

BACKEND = """backend up{port}
  http-reuse always
  server core 127.0.0.1:{server} pool-max-conn 2000 pool-purge-delay 300s {tls}
"""

TLS_SERVER = """
global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
"""


def write(folder, data, port, tls=None, settings="", further_binds=""):
    """Writes the configuration and its maps; with `tls` (see tls.py) it uses HTTPS to the instances.

    `settings` and `further_binds` are lines of the sections "global" and "frontend".
    """
    folder.mkdir()
    write_lines(folder / "tokens.map", ((digest(c.token).upper(), c.name) for c in data.clients))
    write_lines(folder / "scopes.map", ((c.name, "rw" if c.scopes == "*" else c.scopes) for c in data.clients))
    write_lines(folder / "grants.map", ((f"{c.name}/{name}", "1") for c in data.clients for name in c.instances))
    write_lines(folder / "instances.map", ((i.name, f"up{i.port}") for i in data.instances))
    write_lines(folder / "keys.map", ((i.name, i.key) for i in data.instances))
    text = CONFIGURATION.format(port=port, maps=folder, settings=settings, further_binds=further_binds)
    for upstream in sorted({instance.port for instance in data.instances}):
        options = f"ssl verify required ca-file {tls.authority} sni str(localhost) verifyhost localhost" if tls else ""
        text += BACKEND.format(port=upstream, server=tls.ports[upstream] if tls else upstream, tls=options)
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


def write_tls_server(path, certificate, ports):
    """Configures a TLS terminator for each upstream: `ports` maps the upstream's port to the terminator's."""
    text = TLS_SERVER
    for upstream, port in ports.items():
        text += f"listen tls{port}\n  bind 127.0.0.1:{port} ssl crt {certificate}\n  server core 127.0.0.1:{upstream}\n"
    path.write_text(text)
