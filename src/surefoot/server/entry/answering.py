"""The answer to one request on its way out, and what every answer carries."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Send


class Answering:
    """Sends an answer with the headers that each has, and knows how far it has come.

    Where the body of the request was not read to its end, the connection is closed behind the answer: what is left
    of it is not listened to, so that nothing in it is taken for a request.
    """

    def __init__(self, send: Send, receive: Receive, *, carried: Mapping[str, str], has_body: bool) -> None:
        """carried: headers that are set unless the answer sets them itself."""
        self._send = send
        self._receive = receive
        self._carried = carried
        self._has_unread = has_body
        self.has_begun = False
        self.has_ended = False

    async def receive(self) -> Message:
        """What the request says next."""
        message = await self._receive()
        self._has_unread = self._has_unread and bool(message.get("more_body"))
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        self.has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in self._carried.items():
                headers.setdefault(name, value)
            if self._has_unread:
                headers["connection"] = "close"
        await self._send(message)
