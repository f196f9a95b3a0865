"""nginx's configuration for the gateway's job, with plain-text tokens in its map, because it has no SHA-256."""

import os

CONFIGURATION = r"""{user}
daemon off;
master_process off;
worker_rlimit_nofile 20000;
pid {folder}/pid;
error_log {folder}/errors warn;
events {{ worker_connections 18000; }}
http {{
  default_type application/json;
  map_hash_max_size 65536;
  map_hash_bucket_size 256;
  tcp_nodelay on;
  keepalive_timeout 300s;
  keepalive_requests 100000000;
  server_tokens off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_authorization $client {{ default ""; include {folder}/tokens.map; }}
  map $client $scopes {{ default ""; include {folder}/scopes.map; }}
  map $request_method $need {{ default none; GET r; POST w; PUT w; DELETE w; }}
  map "$need:$scopes" $scope_ok {{ default 0; "r:r" 1; "r:rw" 1; "w:w" 1; "w:rw" 1; }}
  map "$client/$arg_instance_id" $pair_ok {{ default 0; include {folder}/grants.map; }}
  map $client $instance_ok {{ default $pair_ok; include {folder}/all.map; }}
  map $arg_instance_id $upstream {{ default ""; include {folder}/instances.map; }}
  map $arg_instance_id $blnk_key {{ default ""; include {folder}/keys.map; }}
  map $args $new_args {{
    default $args;
    "~^instance_id=[^&]*$" "";
    "~^instance_id=[^&]*&(?<r0>.*)$" "$r0";
    "~^(?<r1>.*)&instance_id=[^&]*(?<r2>(&.*)?)$" "$r1$r2";
  }}
  map $new_args $mark {{ default "?"; "" ""; }}
  log_format line escape=json '{{"ts":"$time_iso8601","ip":"$remote_addr","method":"$request_method","path":"$uri","status":$status,"client":"$client","instance":"$arg_instance_id","bytes":$body_bytes_sent,"ms":$request_time,"up_ms":"$upstream_response_time","rid":"$request_id"}}';
{upstreams}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    access_log {folder}/access.log line buffer=64k flush=1s;
    location ~ ^/proxy(?<rest>/balances(/.*)?)$ {{
      if ($client = "") {{ return 401 '{{"error":"unauthorized"}}'; }}
      if ($scope_ok = 0) {{ return 403 '{{"error":"insufficient scope"}}'; }}
      if ($upstream = "") {{ return 404 '{{"error":"unknown instance"}}'; }}
      if ($instance_ok = 0) {{ return 403 '{{"error":"instance not allowed"}}'; }}
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "";
      proxy_set_header X-blnk-key $blnk_key;
      proxy_set_header Host $proxy_host;
      proxy_set_header X-Request-ID $request_id;
      proxy_buffers 8 16k;
      proxy_buffer_size 8k;
      proxy_pass http://$upstream$rest$mark$new_args;
    }}
    location / {{ return 404 '{{"error":"not found"}}'; }}
  }}
}}
"""

UPSTREAM = """  upstream up{port} {{
    server 127.0.0.1:{port};
    keepalive 2000;
    keepalive_requests 100000000;
    keepalive_timeout 300s;
  }}
"""


def write(folder, data, port):
    folder.mkdir()
    write_map(folder / "tokens.map", ((f"Bearer {c.token}", c.name) for c in data.clients))
    write_map(folder / "scopes.map", ((c.name, "rw" if c.scopes == "*" else c.scopes) for c in data.clients))
    bounded = [client for client in data.clients if client.instances != ["*"]]
    write_map(folder / "grants.map", ((f"{c.name}/{name}", "1") for c in bounded for name in c.instances))
    write_map(folder / "all.map", ((c.name, "1") for c in data.clients if c.instances == ["*"]))
    write_map(folder / "instances.map", ((i.name, f"up{i.port}") for i in data.instances))
    write_map(folder / "keys.map", ((i.name, i.key) for i in data.instances))
    ports = sorted({instance.port for instance in data.instances})
    # Started as root, nginx drops its privileges and then cannot write to the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    upstreams = "".join(UPSTREAM.format(port=upstream) for upstream in ports)
    path = folder / "nginx.conf"
    path.write_text(CONFIGURATION.format(user=user, folder=folder, port=port, upstreams=upstreams))
    return path


def write_map(path, entries):
    path.write_text("".join(f'"{key}" "{value}";\n' for key, value in entries))
