"""A flow to see that the server works."""

from surefoot import flow, step


@step
def greeting(name: str) -> str:
    return f"Hello, {name}!"


@flow(uses=())
def greet(name: str) -> str:
    """Greet somebody."""
    return greeting(name)
