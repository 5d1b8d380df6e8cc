"""The page for people."""

from starlette.responses import HTMLResponse

from compound.network import Network


def home() -> HTMLResponse:
    return HTMLResponse("")


def network(network: Network, classes: int, channels: int) -> str:
    return ""
