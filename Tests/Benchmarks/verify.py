"""Checks that a proxy does the whole job, before its cost is measured."""

import http.client
import json
import ssl

from process import Failure

# What a client sends as key; it must not replace the instance's.
OWN_KEY = "a-key-of-the-client"


def verify(name, port, data, authority=None):
    """Raises a Failure that lists what the proxy does differently; with an `authority`, the requests use TLS."""
    context = ssl.create_default_context(cafile=authority) if authority else None
    wrong = [line for line in (check(port, probe, context) for probe in probes(data)) if line]
    if wrong:
        raise Failure(f"{name} does not do the whole job:\n  " + "\n  ".join(wrong))


def probes(data):
    """Method, target, token, body, status, texts that the response must contain, texts that it must not contain."""
    all_instances = [client for client in data.clients if client.instances == ["*"]]
    free = next(client for client in all_instances if client.scopes == "rw").token
    reader = next(client for client in all_instances if client.scopes == "r").token
    writer = next(client for client in all_instances if client.scopes == "w").token
    first, last = data.instances[0], data.instances[-1]
    base = "/proxy/balances"
    yield (
        ("GET", f"{base}/echo?instance_id={first.name}", free, None, 200)
        + (["GET /balances/echo HTTP/1.1", f"x-blnk-key: {first.key}"], ["authorization:", "instance_id", OWN_KEY])
    )
    yield (
        ("GET", f"{base}/echo?a=1&instance_id={last.name}&b=2", free, None, 200)
        + (["GET /balances/echo?a=1&b=2 HTTP/1.1", last.key], ["authorization:", "instance_id", OWN_KEY])
    )
    yield "GET", f"{base}/echo?limit=20&instance_id={last.name}", free, None, 200, ["/balances/echo?limit=20 HTTP"], []
    yield "GET", f"{base}?instance_id={last.name}", free, None, 200, ["balance_id"], []
    body = '{"a":1}'
    yield "POST", f"{base}/echo?instance_id={first.name}", free, body, 200, ["POST /balances/echo", "content-length: 7"], []
    yield "POST", f"{base}?instance_id={first.name}", free, body, 201, [], []
    yield "PUT", f"{base}/x?instance_id={first.name}", free, body, 200, [], []
    yield "DELETE", f"{base}/x?instance_id={first.name}", free, None, 200, [], []
    yield "GET", f"{base}?instance_id={first.name}", None, None, 401, [], []
    yield "GET", f"{base}?instance_id={first.name}", "nobodys", None, 401, [], []
    yield "GET", f"{base}?instance_id={first.name}", writer, None, 403, [], []
    yield "POST", f"{base}?instance_id={first.name}", reader, body, 403, [], []
    yield "GET", f"{base}?instance_id={first.name}", reader, None, 200, [], []
    yield "GET", f"{base}?instance_id=unknown", free, None, 404, [], []
    yield "GET", "/other", free, None, 404, [], []
    bounded = next((c for c in data.clients if c.instances != ["*"] and c.scopes == "rw"), None)
    if bounded and len(data.instances) > len(bounded.instances):
        foreign = next(i.name for i in data.instances if i.name not in bounded.instances)
        yield "GET", f"{base}?instance_id={foreign}", bounded.token, None, 403, [], []
        yield "GET", f"{base}?instance_id={bounded.instances[4]}", bounded.token, None, 200, [], []


def check(port, probe, context):
    """What is wrong with the response, or None."""
    method, target, token, body, status, present, absent = probe
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    # Elsewhere the gateway rejects two tokens.
    if token and target.startswith("/proxy/"):
        fields["X-Blnk-Key"] = OWN_KEY
    if body:
        fields["Content-Type"] = "application/json"
    if context:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, target, body, fields)
        answer = connection.getresponse()
        text = answer.read().decode().lower()
    except (OSError, http.client.HTTPException) as error:
        return f"{method} {target}: {error!r}"
    finally:
        connection.close()
    if answer.status != status:
        return f"{method} {target}: {answer.status} instead of {status}: {text[:200]}"
    for wanted in present:
        if wanted.lower() not in text:
            return f"{method} {target}: {wanted!r} does not reach the instance: {text[:400]}"
    for unwanted in absent:
        if unwanted in text:
            return f"{method} {target}: {unwanted!r} reaches the instance"
    if status >= 400:
        try:
            json.loads(text)
        except ValueError:
            return f"{method} {target}: an error reply that is not JSON: {text[:200]}"
    return None
