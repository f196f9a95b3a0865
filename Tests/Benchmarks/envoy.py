"""Envoy's configuration for the gateway's job, with plain-text tokens, because none of its filters compares digests of them.

Each instance has a route for reads and one for writes, and each route lists the clients that may use it. So scopes and
instances are one decision, with one error text for both. The filter that removes `instance_id` from the query decodes and
sorts what is left, without encoding it again.
"""

import json

PATH = "/proxy/balances"
READ_METHODS, WRITE_METHODS = ("GET",), ("POST", "PUT", "DELETE")
LONG = "300s"
INSTANCE = "x-instance"  # carries `instance_id`, because routes are chosen by header only
UNLIMITED = 1_000_000
LOG_LINE = {
    "ts": "%START_TIME%",
    "ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "status": "%RESPONSE_CODE%",
    "client": "%REQ(X-CLIENT)%",
    "instance": "%ROUTE_NAME%",
    "bytes": "%BYTES_SENT%",
    "ms": "%DURATION%",
    "up_ms": "%REQ(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "rid": "%REQ(X-REQUEST-ID)%",
}


def write(folder, data, port):
    folder.mkdir()
    path = folder / "envoy.json"
    path.write_text(json.dumps(configuration(folder, data, port)))
    return path


def configuration(folder, data, port):
    upstreams = sorted({instance.port for instance in data.instances})
    listener = {
        "name": "gateway",
        "address": address(port),
        "tcp_backlog_size": 4096,
        "filter_chains": [{"filters": [connection_manager(folder, data)]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster(upstream) for upstream in upstreams]}}


def connection_manager(folder, data):
    return extension(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="gateway",
        common_http_protocol_options={"idle_timeout": LONG},
        access_log=[
            extension(
                "envoy.access_loggers.file",
                "access_loggers.file.v3.FileAccessLog",
                path=str(folder / "access.log"),
                log_format={"json_format": LOG_LINE},
            )
        ],
        local_reply_config={"body_format": {"json_format": {"error": "%LOCAL_REPLY_BODY%"}}},
        early_header_mutation_extensions=[
            extension(
                "envoy.http.early_header_mutation.header_mutation",
                "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[{"remove": INSTANCE}, {"append": overwrite(INSTANCE, "%QUERY_PARAM(instance_id)%")}],
            )
        ],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "matcher": by_instance(data)}]},
        http_filters=[
            extension(
                "envoy.filters.http.api_key_auth",
                "filters.http.api_key_auth.v3.ApiKeyAuth",
                credentials=[{"key": client.token, "client": client.name} for client in data.clients],
                key_sources=[{"header": "Authorization"}],
            ),
            extension(
                "envoy.filters.http.header_mutation",
                "filters.http.header_mutation.v3.HeaderMutation",
                mutations={"query_parameter_mutations": [{"remove": "instance_id"}]},
            ),
            extension("envoy.filters.http.router", "filters.http.router.v3.Router"),
        ],
    )


def by_instance(data):
    """A matcher that chooses the route by `instance_id` and method."""
    every = [client for client in data.clients if client.instances == ["*"]]
    bounded = {instance.name: [] for instance in data.instances}
    for client in data.clients:
        for name in client.instances:
            if name != "*":
                bounded[name].append(client)
    return {
        "matcher_tree": {
            "input": header_input(INSTANCE),
            "exact_match_map": {
                "map": {i.name: {"matcher": by_method(i, [*every, *bounded[i.name]])} for i in data.instances}
            },
        },
        "on_no_match": direct("unknown", 404, "unknown instance"),
    }


def by_method(instance, clients):
    routes = {}
    for methods, scope in ((READ_METHODS, "r"), (WRITE_METHODS, "w")):
        allowed = [client.name for client in clients if client.scopes == "*" or scope in client.scopes]
        routes |= dict.fromkeys(methods, route(instance, allowed))
    return {
        "matcher_tree": {
            "input": header_input(":method"),
            "exact_match_map": {"map": routes},
        },
        "on_no_match": direct(instance.name, 403, "insufficient scope"),
    }


def route(instance, allowed):
    return action(
        instance.name,
        route={
            "cluster": f"up{instance.port}",
            "prefix_rewrite": PATH.removeprefix("/proxy"),
            "timeout": LONG,
        },
        request_headers_to_add=[overwrite("X-Blnk-Key", instance.key)],
        request_headers_to_remove=[INSTANCE],
        typed_per_filter_config={
            "envoy.filters.http.api_key_auth": typed(
                "filters.http.api_key_auth.v3.ApiKeyAuthPerRoute",
                allowed_clients=allowed,
                # The filter's own "forwarding" has no effect on a route that has such settings, too.
                forwarding={"header": "x-client", "hide_credentials": True},
            )
        },
    )


def direct(name, status, error):
    return action(name, direct_response={"status": status, "body": {"inline_string": error}})


def action(name, **fields):
    """A route; other paths have none, so that they get 404."""
    value = {
        "@type": "type.googleapis.com/envoy.config.route.v3.Route",
        "name": name,
        "match": {"path_separated_prefix": PATH},
        **fields,
    }
    return {"action": {"name": "route", "typed_config": value}}


def cluster(port):
    return {
        "name": f"up{port}",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": f"up{port}",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": UNLIMITED, "max_pending_requests": UNLIMITED, "max_requests": UNLIMITED}
            ]
        },
    }


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def overwrite(name, value):
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def header_input(name):
    kind = "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
    return {"name": name, "typed_config": {"@type": kind, "header_name": name}}


def extension(name, kind, **fields):
    return {"name": name, "typed_config": typed(kind, **fields)}


def typed(kind, **fields):
    return {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}
