"""What HTTP and decoding leave to a network: the same server whose network answers nothing, or which does nothing.

`python -m benchmarks.serving.floor nothing` answers every request from the protocol alone, and `… still PLACE` serves
the network at PLACE with all but its computing: requests are read, images decoded and queued, answers written.
"""

import sys
from unittest.mock import patch

import torch
import uvicorn
from starlette.types import Receive, Scope, Send

from compound.serve import Address, Limits, serve
from compound.serve.models import Loaded
from compound.serve.server import configure, listening, run

ANSWER = b'{"model":"model","predictions":[{"image":0,"unknown":null,"score":null,"among":null,"classes":[]}]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what asks, once it has come whole."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


def answer_nothing() -> None:
    """The protocol of `compound serve` around `nothing`."""
    limits, address = Limits(), Address(port=0)
    with listening(address, limits.connections) as sockets:
        print(f"running on http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
        run(uvicorn.Server(configure(nothing, address, limits)), sockets)


def serve_still(place: str) -> None:
    """The network at `place`, whose logits are zeros."""

    def zeros(loaded: Loaded, pixels: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(pixels), len(loaded.classes))

    with patch.object(Loaded, "logits", zeros), patch.object(Loaded, "find_sizes", lambda _: None):
        serve([place], Address(port=0), Limits(), device="cpu")


if __name__ == "__main__":
    serve_still(sys.argv[2]) if sys.argv[1] == "still" else answer_nothing()
