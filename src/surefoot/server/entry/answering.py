"""The answer to one request on its way out, and what every answer carries."""

from __future__ import annotations

from starlette.types import Message, Receive, Send

from surefoot.server.entry.shape import RawHeaders


class Answering:
    """Sends an answer with the headers that each has, and knows how far it has come.

    Where the body of the request was not read to its end, the connection is closed behind the answer: what is left
    of it is not listened to, so that nothing in it is taken for a request.
    """

    def __init__(self, send: Send, receive: Receive, *, carried: RawHeaders, has_body: bool) -> None:
        """carried: headers, their names in lower case, that are set unless the answer sets them itself."""
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
            # As bytes: each answer comes through here.
            given = {name.lower() for name, _ in message["headers"]}
            headers = [*message["headers"], *(one for one in self._carried if one[0] not in given)]
            if self._has_unread:
                headers = [one for one in headers if one[0].lower() != b"connection"]
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        await self._send(message)
