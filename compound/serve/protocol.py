"""HTTP/1.1 by uvicorn, for clients that mean no good.

uvicorn waits for a request without end, answers on connections whose next bytes were no HTTP, which is an error,
answers nobody who closes his half of the connection behind his request, and logs every request that is no HTTP.
"""

import asyncio
import fcntl
import json
import logging
import termios
from array import array
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from compound.serve.limits import Limits

# Errors alone: what is wrong with a request is told to the client, who can say it without end.
LOG = logging.getLogger("uvicorn.error.requests")
LOG.setLevel(logging.ERROR)
NO_HTTP = {"error": "this is no request in HTTP/1.1; send one: curl --form image=@photo.jpg http://ADDRESS/predict"}
PATIENCE = 4  # times that a request which the server does not come to read gets its time again


class JoinedAnswers(h11.Connection):
    """Gives the head of an answer together with what follows it, so that both are sent by one call of the system."""

    _head = b""

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override]  # overloads there, by the kind of event
        sent = super().send(event)
        if isinstance(event, h11.Response):
            self._head = sent or b""
            return b""
        head, self._head = self._head, b""
        return head + sent if sent is not None else None


class Impatient(H11Protocol):
    """uvicorn's protocol with a time limit for a whole request, and another for whoever does not take his answer."""

    limits: Limits
    reading: asyncio.TimerHandle | None = None
    writing: asyncio.TimerHandle | None = None
    ended = False  # no more will come, but what has come is to be answered

    def __init__(self, config: uvicorn.Config, *given: Any, **named: Any) -> None:
        super().__init__(config, *given, **named)
        self.conn = JoinedAnswers(h11.SERVER, self.conn._max_incomplete_event_size)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it serves TCP, which has no other transport
        super().connection_made(transport)
        self.logger = LOG
        if len(self.connections) > self.limits.connections:
            transport.abort()
        self._expect()

    def data_received(self, data: bytes) -> None:
        self._expect()
        super().data_received(data)
        self._received()

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is h11.SEND_BODY:  # of a request that was sent behind another
            self._expect()

    def send_400_response(self, msg: str) -> None:
        """Nonsense may follow a request that is still being answered: nothing more is said to it."""
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.abort()
        elif self.conn.our_state is h11.IDLE:
            self._say_no_http()
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._received()
        if self.ended and not self._answering:
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's says nothing, which closes
        """Whether the connection stays open: whoever has sent a whole request may close his half and listen."""
        self.ended = self._answering
        return self.ended

    @property
    def _answering(self) -> bool:
        """Whether a request has come whole and is not answered yet."""
        return bool(self.cycle and not self.cycle.response_complete and not self.cycle.more_body)

    def _say_no_http(self) -> None:
        body = json.dumps(NO_HTTP).encode()
        headers = [
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (b"connection", b"close"),
            (b"x-content-type-options", b"nosniff"),
        ]  # fmt: skip
        told = (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"), h11.Data(data=body))
        for event in (*told, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self.reading, self.writing):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.writing = self.loop.call_later(self.limits.receive, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.writing:
            self.writing.cancel()
            self.writing = None

    def _expect(self) -> None:
        if self.reading is None:
            self.reading = self.loop.call_later(self.limits.receive, self._late, PATIENCE)

    def _late(self, times: int) -> None:
        """Close the connection, unless the server is what is late: bytes lie here and it has not come to read them."""
        if times and unread(self.transport):
            self.reading = self.loop.call_later(self.limits.receive, self._late, times - 1)
        else:
            self.transport.abort()

    def _received(self) -> None:
        """Stop the clock if the request is whole."""
        if self.reading and self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self.reading.cancel()
            self.reading = None


def unread(transport: asyncio.Transport) -> bool:
    """Whether bytes have arrived that nobody has read yet."""
    waiting = array("i", [0])
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, waiting)
    except OSError:
        return False
    return waiting[0] > 0


def impatient(limits: Limits) -> type[H11Protocol]:
    """The protocol with these limits: uvicorn makes one a connection, and gives it nothing of ours."""
    return type("Impatient", (Impatient,), {"limits": limits})
