"""What a request asks for beside its images: read from the path and the query, and written for OpenAPI."""

from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

DIGITS = 9  # of a number, at most
LONGEST = 60  # characters of somebody's value that an answer repeats


@dataclass(frozen=True)
class Number:
    """A whole number of the query; without it, `usual`."""

    name: str
    least: int
    most: int | None
    usual: int | None
    what: str

    def of(self, request: Request) -> int | None:
        """Its value; raises `HTTPException` 422."""
        text = request.query_params.get(self.name)
        if text is None:
            return self.usual
        if text.isascii() and text.isdigit() and len(text) <= DIGITS:
            number = int(text)
            if self.least <= number and (self.most is None or number <= self.most):
                return number
        fitting = f"from {self.least} on" if self.most is None else f"from {self.least} to {self.most}"
        raise HTTPException(422, f"{self.name} is {quoted(text)}; use a whole number {fitting}")

    def documented(self) -> dict[str, Any]:
        bounds = {"minimum": self.least} | ({} if self.most is None else {"maximum": self.most})
        usual = {} if self.usual is None else {"default": self.usual}
        schema = {"type": "integer", **bounds, **usual}
        return {"name": self.name, "in": "query", "required": False, "schema": schema, "description": self.what}


TOP = Number("top", 1, 1000, 5, "Classes to name for each image.")
INDEX = Number("class", 0, None, None, "Its number; default the most probable.")


def model_of(request: Request) -> str | None:
    """The network that a request names, in its path or its query."""
    named: str | None = request.path_params.get("model", request.query_params.get("model"))
    return named


def model_documented(in_path: bool) -> dict[str, Any]:
    place = {"in": "path", "required": True} if in_path else {"in": "query", "required": False}
    return {"name": "model", **place, "schema": {"type": "string"}, "description": "The network that answers."}


def quoted(text: str) -> str:
    """Somebody's value, as an answer repeats it."""
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
