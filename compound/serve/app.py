"""The HTTP interface: images in, classes or maps out, with what is needed to run it beside other services."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Scope

from compound import __version__
from compound.cost import cost
from compound.data.errors import DamagedImage
from compound.deploy.scorelog import ScoreLog
from compound.explanation import has_class_maps
from compound.reporting.drawing import Drawing
from compound.reporting.stages import network_part
from compound.serve import page
from compound.serve.answers import About, Answer, ErrorAnswer, Ready, classes_of
from compound.serve.asked import INDEX, TOP, model_documented, model_of, quoted
from compound.serve.batching import Busy, Places
from compound.serve.bodies import DOCUMENTED, images_of
from compound.serve.decoding import Decoders
from compound.serve.limits import Limits, LimitsMiddleware, refuse
from compound.serve.metrics import ServerMetrics
from compound.serve.models import Loaded, ServedModel
from compound.serve.recording import Recorder
from compound.serve.said import Said
from compound.serve.short import ShortWay
from compound.serve.watching import Watcher

PREDICT = "The most probable classes of one image, or of every image of a form."
EXPLAIN = "Where in one image the network sees a class, as a picture."
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer, "description": why}
    for code, why in {
        400: "Not understood; or several networks are served and none is named.",
        401: "The token is missing or wrong.",
        403: "Without a token: asked under another host name, or by a page of another site.",
        404: "There is no such network, or it has no maps.",
        413: "The body or the number of images is over the limits of the server.",
        422: "No image of the request can be read, or a parameter is out of range.",
        429: "Too many images wait for this network; ask again later.",
        503: "More is under way than the server takes; ask again later.",
    }.items()
}


class BareRoute(APIRoute):
    """A path in the reference, whose function takes the request and makes the response: nothing is parsed for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


class Desk:
    """What the paths share: the models, the threads that decode, and what is kept of answers."""

    def __init__(self, models: Mapping[str, ServedModel], limits: Limits, recorder: Recorder) -> None:
        self.models, self.limits, self.recorder = models, limits, recorder
        self.decoders = Decoders(limits)
        self.draining = False

    def find(self, name: str | None) -> ServedModel:
        if name is None and len(self.models) == 1:
            return next(iter(self.models.values()))
        known = ", ".join(self.models)
        if name is None:
            raise HTTPException(400, f"several models are served; name one with ?model=: {known}")
        if name not in self.models:
            raise HTTPException(404, f"there is no model {quoted(name)}; there are {known}")
        return self.models[name]

    async def classify(
        self, name: str, places: Places, loaded: Loaded, data: bytes, position: int, top: int
    ) -> Answer | DamagedImage:
        """The `top` classes of an image, or what is wrong with it."""
        answer: asyncio.Future[Said | None] = asyncio.get_running_loop().create_future()
        self.decoders.decode_into(
            answer, loaded, data, position, lambda pixels: places.put(loaded, pixels, top, answer)
        )
        try:
            said = await answer
        except DamagedImage as error:
            places.give_up()
            return error
        if said is None:
            return DamagedImage(f"image {position}", "the network's answer to it is not a number")
        if not loaded.described.several:
            await self.recorder.keep(name, said, len(loaded.classes))
        return Answer(
            image=position, unknown=said.unknown, score=said.score,
            among=None if said.among is None else classes_of(said.among), classes=classes_of(said.best),
        )  # fmt: skip


def make_app(
    models: Mapping[str, ServedModel],
    limits: Limits,
    token: str | None = None,
    metrics: ServerMetrics | None = None,
    watcher: Watcher | None = None,
    log: ScoreLog | None = None,
) -> ASGIApp:
    """The whole application: paths, errors as sentences, and the guard before them."""
    metrics = metrics or ServerMetrics()
    desk = Desk(models, limits, Recorder(metrics, log))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if watcher:
            watcher.start()
        yield
        desk.draining = True
        if watcher:
            watcher.stop()
        for model in models.values():
            model.batcher.close()
        desk.decoders.close()

    app = FastAPI(title="compound", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    add_answers(app, desk)
    add_operations(app, desk, metrics)
    add_errors(app)

    def observe(scope: Scope, status: int, seconds: float) -> None:
        metrics.observe(getattr(scope.get("route"), "path", "other"), status, seconds)

    return LimitsMiddleware(ShortWay(app, BareRoute), limits, token, observe)


def add_answers(app: FastAPI, desk: Desk) -> None:
    """Classes and maps; the model's name stands in the path or the query."""

    async def predict(request: Request) -> Response:
        served, top = desk.find(model_of(request)), TOP.of(request) or 1
        images = await images_of(request, min(desk.limits.images, served.batcher.capacity))
        loaded = served.loaded
        with served.batcher.admit(len(images)) as places:
            asked = [desk.classify(served.name, places, loaded, data, i, top) for i, data in enumerate(images)]
            found = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
        answers = [one for one in found if isinstance(one, Answer)]
        damaged = [ErrorAnswer(error=str(one)) for one in found if isinstance(one, DamagedImage)]
        if not answers:
            raise HTTPException(422, "; ".join(one.error for one in damaged))
        ready = Ready(model=served.name, predictions=answers, damaged=damaged)
        return Response(ready.model_dump_json(), media_type="application/json")

    async def explain(request: Request) -> Response:
        served, index = desk.find(model_of(request)), INDEX.of(request)
        loaded = served.loaded
        if loaded.net is None:
            raise HTTPException(404, f"{served.name} is an exported file, which has no maps; serve its run")
        if index is not None and index >= len(loaded.classes):
            raise HTTPException(422, f"class {index} is unknown; {served.name} has 0 to {len(loaded.classes) - 1}")
        (data,) = await images_of(request, 1)
        with served.batcher.admit(1) as places:
            pixels = await desk.decoders.decode(loaded, data, 0)
            drawn = await asyncio.wrap_future(places.call(lambda: loaded.map_of(pixels, index)))
        picture, shown, method = drawn
        return Response(picture, media_type="image/png", headers={"X-Class": str(shown), "X-Method": method})

    png: dict[int | str, dict[str, Any]] = {
        200: {"content": {"image/png": {}}, "description": "The photo as the network sees it, the map over it."}
    }
    ready: dict[int | str, dict[str, Any]] = {200: {"model": Ready, "description": "The classes of each image."}}
    for prefix in ("", "/models/{model}"):
        options: dict[str, Any] = {"methods": ["POST"], "response_class": Response, "route_class_override": BareRoute}
        named = model_documented(in_path=bool(prefix))
        app.router.add_api_route(
            f"{prefix}/predict", predict, description=PREDICT, responses={**ERRORS, **ready},
            openapi_extra={**DOCUMENTED, "parameters": [named, TOP.documented()]}, **options,
        )  # fmt: skip
        app.router.add_api_route(
            f"{prefix}/explain", explain, description=EXPLAIN, responses={**ERRORS, **png},
            openapi_extra={**DOCUMENTED, "parameters": [named, INDEX.documented()]}, **options,
        )  # fmt: skip


def add_operations(app: FastAPI, desk: Desk, metrics: ServerMetrics) -> None:
    """What the page, other services and their keepers ask."""

    @app.get("/", include_in_schema=False)
    async def home() -> HTMLResponse:
        return page.home()

    @app.get("/docs", include_in_schema=False)
    async def reference(request: Request) -> HTMLResponse:
        return page.reference(app.openapi(), str(request.base_url).rstrip("/"))

    @app.get("/models", description="The served networks: what they take, and what they cost.")
    async def models() -> list[About]:
        return [about(model) for model in desk.models.values()]

    @app.get("/models/{model}/network", include_in_schema=False)
    async def network(model: str) -> HTMLResponse:
        loaded = desk.find(model).loaded
        drawing = Drawing((loaded.network,))
        return HTMLResponse(network_part(drawing, loaded.network))

    @app.get("/healthz", description="Whether every network still answers; else status 503.")
    async def healthz(response: Response) -> dict[str, bool]:
        alive = all(model.batcher.alive for model in desk.models.values())
        response.status_code = 200 if alive else 503
        return {"alive": alive}

    @app.get("/readyz", description="Whether requests are taken; status 503 while the server stops.")
    async def readyz(response: Response) -> dict[str, bool]:
        response.status_code = 503 if desk.draining else 200
        return {"ready": not desk.draining}

    @app.get("/metrics", description="Counters and times, as Prometheus reads them.")
    async def figures() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


def about(model: ServedModel) -> About:
    loaded = model.loaded
    counted, known = cost(loaded.network), loaded.described
    return About(
        name=model.name, network=loaded.network.name, resolution=loaded.network.resolution, channels=loaded.channels,
        classes=len(loaded.classes), params=counted.params, macs=counted.macs, runtime=loaded.runtime,
        precision=loaded.precision, maps=map_method(loaded),
        unknown=known.unknown.least if known.unknown else None,
        coverage=known.sets.coverage if known.sets else None, version=model.version, problem=model.problem,
    )  # fmt: skip


def map_method(loaded: Loaded) -> str | None:
    return None if loaded.net is None else "cam" if has_class_maps(loaded.network) else "grad-cam"


def add_errors(app: FastAPI) -> None:
    """Every error is one sentence under `error`."""

    async def http(request: Request, error: HTTPException) -> Response:
        told = str(error.detail)
        if told == HTTPStatus(error.status_code).phrase:  # the framework's own
            told = unknown(request, error.status_code)
        response = refuse(error.status_code, told)
        response.headers.update(error.headers or {})
        return response

    async def failed(_: Request, __: Exception) -> Response:
        return refuse(500, "the server failed at this request; its log says how")

    async def busy(_: Request, error: Busy) -> Response:
        return refuse(429, str(error), error.seconds)

    async def damaged(_: Request, error: DamagedImage) -> Response:
        return refuse(422, str(error))

    async def gone(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it

    handlers = {HTTPException: http, Busy: busy, DamagedImage: damaged, ClientDisconnect: gone, Exception: failed}
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]  # each of its own kind; Starlette's are of any


def unknown(request: Request, status: int) -> str:
    """What is said of a path that is not there, or does not take the method."""
    path = quoted(request.url.path)
    if status == 405:
        return f"{path} does not take {quoted(request.method)}; GET /docs says what each path takes"
    return f"there is no {path}; GET /docs lists the paths"
