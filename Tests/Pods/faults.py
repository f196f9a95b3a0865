class Fault(Exception):
    """A check that does not hold."""


def expect(condition, message):
    if not condition:
        raise Fault(message)
