"""The images of a request: the body itself, or the files of a form. Never a path, never an address."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

FORM = b"multipart/form-data"
FIELDS = 64  # of a form that are no images, at most
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
    """The encoded images, 1 to `most`: every file of a form is one, whatever it is called."""
    body = await request.body()
    if not body:
        raise HTTPException(400, "the body is empty; send an image, or a form with images")
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != FORM:
        return [body]
    try:
        images = [bytes(part.data) for part in parts_of(body, options[b"boundary"], most + FIELDS) if part.is_image]
    except (FormParserError, KeyError):
        raise HTTPException(400, "the form cannot be read: its boundary is missing, or it is cut short") from None
    if not images:
        raise HTTPException(400, "the form holds no file; send at least one image: curl --form image=@photo.jpg")
    if len(images) > most:
        raise HTTPException(413, f"the form has more than the {most} images that one request may bring")
    return images


@dataclass
class FormPart:
    """A part of a form: what its headers say, by name in small letters, and its bytes."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)

    @property
    def is_image(self) -> bool:
        """A text field has neither a file's name nor a type of its own; an empty file is what nobody chose."""
        kind, _ = parse_options_header(self.headers.get(b"content-type", b"text/plain"))
        told = self.headers.get(b"content-disposition", b"")
        _, options = parse_options_header(told)
        if b"filename" in options:
            return bool(options[b"filename"] or self.data)
        if b"filename*=" in told.lower():  # some send names that are not ASCII as this alone; the parser drops it
            return True
        return kind.startswith(b"image/") or kind == b"application/octet-stream"


def parts_of(body: bytes, boundary: bytes, most: int) -> list[FormPart]:
    """The parts of a form, in memory: nothing of a request is ever written to a disk."""
    parts: list[FormPart] = []
    name, value = bytearray(), bytearray()
    ended = False

    def begin() -> None:
        if len(parts) == most:
            raise HTTPException(413, f"the form has more than {most} parts")
        parts.append(FormPart())

    def end_header() -> None:
        parts[-1].headers[bytes(name).lower()] = bytes(value)
        name.clear()
        value.clear()

    def end() -> None:
        nonlocal ended
        ended = True

    def add(data: bytes, start: int, stop: int) -> None:
        parts[-1].data.extend(memoryview(data)[start:stop])

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": lambda data, start, stop: name.extend(data[start:stop]),
            "on_header_value": lambda data, start, stop: value.extend(data[start:stop]),
            "on_header_end": end_header,
            "on_part_data": add,
            "on_end": end,
        },
    )
    parser.write(without_preamble(body, boundary))
    if not ended:
        raise FormParserError
    return parts


def without_preamble(body: bytes, boundary: bytes) -> bytes:
    """`body` from its first boundary on: what stands before is for readers who know no forms (RFC 2046, 5.1.1)."""
    first = b"--" + boundary + b"\r\n"
    at = 0 if body.startswith(first) else body.find(b"\r\n" + first) + 2
    return body[at:] if at > 1 else body
