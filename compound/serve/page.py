"""The page for people: a shell, which needs no token; what fills it may."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from markupsafe import Markup
from starlette.responses import HTMLResponse

from compound.reporting.page import environment


@cache
def home() -> HTMLResponse:
    """The shell, styled as reports are. It may run its own script alone, and speak with nobody but this server."""
    script = files("compound.serve").joinpath("page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    page = environment("serve").get_template("page.html").render(script=Markup(script))
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})
