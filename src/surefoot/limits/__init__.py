"""Limits: rates of requests and tokens, circuit breakers and the cache, in one process and shared over Redis."""
