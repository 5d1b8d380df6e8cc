"""The page for people: the shell, which needs no token, and a network's part of it, which may."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from compound.cost import CONVENTION, Cost, cost, stage_costs
from compound.network import Network, describe
from compound.quantity import short
from compound.report.drawing import draw_network
from compound.report.layout import boxes


class Line(NamedTuple):
    """A stage of the network's table."""

    label: str
    operator: str
    resolution: int
    channels: int
    layers: int
    cost: Cost
    share: float  # of the multiply-adds


@cache
def environment() -> Environment:
    """The page wears the style of the reports."""
    loader = ChoiceLoader([PackageLoader("compound", "serve"), PackageLoader("compound", "report")])
    made = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    made.filters |= {"short": short, "percent": "{:.1%}".format}
    return made


@cache
def home() -> HTMLResponse:
    """The shell. It may run its own script alone, and speak with nobody but this server."""
    script = files("compound.serve").joinpath("page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    page = environment().get_template("page.html").render(script=Markup(script))
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})


def network_part(network: Network, classes: int, channels: int) -> str:
    """The network drawn to scale, and what each stage costs, as a piece of HTML."""
    template = environment().get_template("network.html")
    return template.render(
        drawing=Markup(draw_network(network)),
        lines=stage_lines(network, classes, channels),
        total=cost(network, classes, channels),
        convention=CONVENTION,
    )


def stage_lines(network: Network, classes: int, channels: int) -> list[Line]:
    costs = stage_costs(network, classes, channels)
    total = max(sum(one.macs for one in costs.values()), 1)
    operators = [describe(stage.block) for stage in (network.stem, *network.stages)] + ["classifier"]
    return [
        Line(box.label, what, box.resolution, box.channels, box.layers, costs[box.label], costs[box.label].macs / total)
        for box, what in zip(boxes(network), operators, strict=True)
    ]
