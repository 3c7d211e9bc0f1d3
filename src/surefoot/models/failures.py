from surefoot.errors import *


def error_of(provider, model, status, headers, body, *, attempts=1, seconds=0.0):
    return ModelError(f"{provider}:{model} {status} {body[:200]!r}")


def unanswered(provider, model, error, *, attempts=1, seconds=0.0):
    return ModelUnavailable(f"{provider}:{model}: {error!r}")
