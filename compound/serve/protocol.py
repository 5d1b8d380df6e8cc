"""HTTP/1.1 by uvicorn, for clients that mean no good.

uvicorn waits for a request without end, answers on connections whose next bytes were no HTTP, which is an error, and
answers nobody who closes his half of the connection behind his request.
"""

import asyncio
import fcntl
import termios
from array import array

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from compound.serve.limits import Limits

PATIENCE = 4  # times that a request which the server does not come to read gets its time again


class Impatient(H11Protocol):
    """uvicorn's protocol with a time limit for a whole request, and another for whoever does not take his answer."""

    limits: Limits
    reading: asyncio.TimerHandle | None = None
    writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
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
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._received()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open: whoever has sent a whole request may close his half and listen."""
        if not self.cycle or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

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
