"""The way of requests that are many: from the guard straight to the function of their path."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class ShortWay:
    """Answers the paths of `kind` as `app` does, without its layers and its search, a third of the time of a request.

    The routes stay where they are: for the reference, for other methods, and for paths with a name in them.
    """

    def __init__(self, app: FastAPI, kind: type[APIRoute]) -> None:
        self.app: ASGIApp = app
        self.handlers: dict[Any, Any] = dict(app.exception_handlers)
        mine = [route for route in app.routes if isinstance(route, kind) and "{" not in route.path]
        self.routes = {(method, route.path): route for route in mine for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self.routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except Exception as error:
            handler = next(self.handlers[kind] for kind in type(error).__mro__ if kind in self.handlers)
            await (await handler(request, error))(scope, receive, send)
            if handler is self.handlers[Exception]:  # a fault of ours, for the log
                raise
        else:
            await response(scope, receive, send)
