"""What a request may cost before it is known to be worth anything: size, number, names and secrets."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = ("GET", "HEAD", "OPTIONS")  # that change nothing, and whose answers a page of another site cannot read
OPEN = ("/", "/docs", "/healthz", "/readyz")  # paths that need no token: they say nothing of the networks


@dataclass(frozen=True)
class Limits:
    """`body` in bytes of one request, `pixels` of one decoded image, `decoding` in bytes of memory of all images that
    are being decoded, `images` of one request, `receive` in seconds from the first byte of a request to its last."""

    body: int = 16 * 2**20
    pixels: int = 50_000_000
    decoding: int = 2 * 2**30
    images: int = 32
    requests: int = 256  # that are answered at once
    connections: int = 900  # a process has 1,024 files by default
    receive: float = 8.0

    @property
    def bodies(self) -> int:
        """Bytes of all bodies together."""
        return 16 * self.body


class LimitsMiddleware:
    """Admits requests to `app`: known hosts, the right token, and bodies that fit.

    Without a token only this machine may ask, so the Host header must be a name of it: a page in a browser could
    otherwise reach the server under a name of its own (DNS rebinding). A page of another site could also post to the
    server's own name, without reading the answer, so that is refused too.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, token: str | None, observe: Callable[[Scope, int, float], None]
    ) -> None:
        self.app, self.limits, self.observe = app, limits, observe
        self.token = token
        self.requests = 0
        self.bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # is answered as GET is; the protocol leaves the body out
            scope = {**scope, "method": "GET"}
        begun, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-content-type-options", b"nosniff")]
            await send(message)

        body = Body(self, receive)
        self.requests += 1
        try:
            refused = self.refusal(scope)
            if refused:
                await body.discard()
                await refused(scope, receive, sending)
            else:
                await self.app(scope, body.receive, sending)
        finally:
            self.requests -= 1
            self.bytes -= body.kept
            self.observe(scope, status, time.perf_counter() - begun)

    def refusal(self, scope: Scope) -> JSONResponse | None:
        headers = dict(scope["headers"])
        if self.requests > self.limits.requests:
            return refuse(503, f"{self.limits.requests} requests are being answered; ask again later", 1)
        if self.token is None and not is_loopback(host_of(headers.get(b"host", b""))):
            return refuse(403, "without a token this server answers to localhost only; start it with --token")
        if self.token is None and scope["method"] not in SAFE and is_cross_site(headers):
            return refuse(403, "a page of another site asks, and without a token this server answers to its own alone")
        if self.token is not None and scope["path"] not in OPEN and not self._authorised(headers):
            return refuse(401, "a token is needed: send the header Authorization: Bearer TOKEN")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self.limits.body:
            return refuse(413, f"the body has {int(length):,} bytes, and {self.limits.body:,} are allowed")
        return None

    def _authorised(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        assert self.token is not None
        return scheme.lower() == b"bearer" and secrets.compare_digest(given.strip(), self.token.encode())


class Body:
    """A request's body as it arrives, counted."""

    def __init__(self, guard: LimitsMiddleware, receive: Receive) -> None:
        self.guard, self._receive = guard, receive
        self.kept = 0

    async def receive(self) -> Message:
        message = await self._receive()
        size = len(message.get("body", b""))
        self.kept += size
        self.guard.bytes += size
        limits = self.guard.limits
        if self.kept > limits.body:
            await self.refuse(message)
            raise HTTPException(413, f"the body has more than the {limits.body:,} bytes that are allowed")
        if self.guard.bytes > limits.bodies:
            await self.refuse(message)
            raise HTTPException(503, "too many bytes are under way; ask again later", {"Retry-After": "1"})
        return message

    async def refuse(self, last: Message) -> None:
        """Let go of what was kept, and of what is yet to come."""
        self.guard.bytes -= self.kept
        self.kept = 0
        if last.get("more_body"):
            await self.discard()

    async def discard(self) -> None:
        """Read what comes and keep none of it: who is still sending does not listen, and misses the refusal."""
        most = 4 * self.guard.limits.body
        while most > 0:
            message = await self._receive()
            most -= len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                return


def refuse(status: int, sentence: str, retry_after: int | None = None) -> JSONResponse:
    """An error as one sentence."""
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": sentence}, status, headers)


def host_of(header: bytes) -> str:
    """The name in a Host header, without its port."""
    host = header.decode("latin-1").strip()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def is_cross_site(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser says that the request comes from a page of another site, port or scheme.

    `Origin` comes with every POST of a browser and with nothing else; `Sec-Fetch-Site` only from new ones.
    """
    if headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none"):
        return True
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"://")[2].lower() != headers.get(b"host", b"").lower()


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine whatever a name server says."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
