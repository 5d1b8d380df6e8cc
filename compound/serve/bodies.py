"""The images of a request: the body itself, or the files of a form. Never a path, never an address."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

FORM = b"multipart/form-data"
IMAGE = {"type": "string", "format": "binary"}
DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": IMAGE},
            FORM.decode(): {"schema": {"type": "object", "properties": {"image": {"type": "array", "items": IMAGE}}}},
        },
    }
}  # for OpenAPI


async def images_of(request: Request, most: int) -> list[bytes]:
    """The encoded images, 1 to `most`: every part of a form is one, whatever it and its file are called."""
    body = await request.body()
    if not body:
        raise HTTPException(400, "the body is empty; send an image, or a form with images")
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != FORM:
        return [body]
    try:
        return parts_of(body, options[b"boundary"], most)
    except (FormParserError, KeyError):
        raise HTTPException(400, "the form cannot be read: its boundary is missing, or it is cut short") from None


def parts_of(body: bytes, boundary: bytes, most: int) -> list[bytes]:
    """The parts of a form, in memory: nothing of a request is ever written to a disk."""
    parts: list[bytearray] = []
    ended = False

    def begin() -> None:
        if len(parts) == most:
            raise HTTPException(413, f"the form has more than the {most} images that one request may bring")
        parts.append(bytearray())

    def end() -> None:
        nonlocal ended
        ended = True

    def add(data: bytes, start: int, stop: int) -> None:
        parts[-1] += data[start:stop]

    parser = MultipartParser(boundary, {"on_part_begin": begin, "on_part_data": add, "on_end": end})
    parser.write(body)
    if not ended:
        raise FormParserError
    if not parts:
        raise HTTPException(400, "the form is empty; send at least one image")
    return [bytes(part) for part in parts]
