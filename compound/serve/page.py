"""The page for people: a shell, which needs no token; what fills it may."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup
from starlette.responses import HTMLResponse

from compound.reporting.page import environment


@cache
def home() -> HTMLResponse:
    """The shell, styled as reports are. It may run its own script alone, and speak with nobody but this server."""
    room = files("compound.serve")
    script = "".join(room.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in ("page", "camera"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    page = environment("serve").get_template("page.html").render(script=Markup(script))
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})


def reference(schema: dict[str, Any], address: str) -> HTMLResponse:
    """What an OpenAPI schema says, as a page without scripts; `address` stands in its examples."""
    page = environment("serve").get_template("reference.html").render(schema=schema, address=address, kind=kind_of)
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})


def kind_of(schema: dict[str, Any]) -> str:
    """The type of a value in JSON Schema, in words."""
    if "anyOf" in schema:
        return " or ".join(map(kind_of, schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema['items'])}"
    return str(schema.get("type", "any"))
