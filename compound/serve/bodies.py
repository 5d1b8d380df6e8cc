"""The images of a request: the body itself, or the files of a form. Never a path, never an address."""

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

FORM = "multipart/form-data"
IMAGE = {"type": "string", "format": "binary"}
DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": IMAGE},
            FORM: {"schema": {"type": "object", "properties": {"image": {"type": "array", "items": IMAGE}}}},
        },
    }
}  # for OpenAPI


async def images_of(request: Request, most: int) -> list[bytes]:
    """The encoded images, 1 to `most`; whatever their files and fields are called."""
    if not request.headers.get("content-type", "").lower().startswith(FORM):
        body = await request.body()
        if not body:
            raise HTTPException(400, "the body is empty; send an image, or a form with files")
        return [body]
    async with request.form(max_files=most, max_fields=most) as form:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise HTTPException(400, "the form has no file; send at least one image")
        return [await file.read() for file in files]
