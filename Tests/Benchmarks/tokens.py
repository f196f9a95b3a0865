"""Rows that compare kinds of tokens: the gateway with each of them, and HAProxy with the tokens of its map."""

from bounds import against_itself
from comparisons import Figure, interleaved, results
from process import Failure

REMEMBER_SECONDS = 5
FILE, SEEN = "token in a policy file", "signed token, seen before"
NEW, INTROSPECTED = "signed token, never seen", "introspected token, cached"
GOALS_MAX = {FILE: 0.50, SEEN: 0.50, NEW: 0.60, INTROSPECTED: 0.60}
FORGED = Figure("CPU per request: forged tokens (401)", 0.45)
# Its code takes three blocks of SHA-256, the digest of an unknown token one.
FORGED_MAX = 1.1


def accepted(stage, rounds):
    """One gateway that accepts all kinds, so that they differ in nothing else."""
    signed = stage.signed(stage.data().targets)
    with stage.introspection_provider() as provider:
        settings = signed.settings | provider.settings
        with stage.gateway(settings=settings) as gateway, stage.haproxy() as haproxy:
            remember(stage, gateway, provider)
            loads = {
                "haproxy": (haproxy, haproxy.data.targets),
                FILE: (gateway, gateway.data.targets),
                SEEN: (gateway, signed.seen),
                NEW: (gateway, signed.new),
                INTROSPECTED: (gateway, provider.targets),
            }
            numbers = interleaved(stage, loads, (), rounds)
            if provider.questions != provider.tokens:
                raise Failure(
                    f"the gateway asked {provider.questions} times about {provider.tokens} introspected tokens, so answers left "
                    f"its cache during the measurement; is the machine too busy?"
                )
    for kind, goal_max in GOALS_MAX.items():
        figure = Figure(f"CPU per request: GET, {kind}", goal_max)
        yield from results([figure], {"gateway": numbers[kind], "haproxy": numbers["haproxy"]})


def remember(stage, gateway, provider):
    """Presents each token of the provider, so that the gateway has all answers before the first round."""
    flags = ["--warm-up", 0, "--seconds", REMEMBER_SECONDS, "--connections", 16, "--targets", provider.targets]
    stage.load(gateway, flags)
    if provider.questions < provider.tokens:
        raise Failure(
            f"the gateway asked about {provider.questions} of {provider.tokens} introspected tokens in {REMEMBER_SECONDS} s; "
            f"is the machine too busy?"
        )


def forged(stage, rounds):
    """Tokens with the form of signed ones and a wrong authentication code, against tokens that no client has."""
    signed = stage.signed(stage.data().targets)
    with stage.gateway(settings=signed.settings) as gateway, stage.haproxy() as haproxy:
        unknown = gateway.data.unknown_tokens
        loads = {"haproxy": (haproxy, unknown), "unknown": (gateway, unknown), "forged": (gateway, signed.forged)}
        numbers = interleaved(stage, loads, ("--status", 401), rounds)
    yield from results([FORGED], {"gateway": numbers["forged"], "haproxy": numbers["haproxy"]})
    of_forged, of_unknown = ([number["cpu_us"] for number in numbers[name]] for name in ("forged", "unknown"))
    yield against_itself("forged tokens against unknown ones: CPU per request", FORGED_MAX, of_forged, of_unknown)
