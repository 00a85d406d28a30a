"""Prepare files that are sent as inputs: upright, without metadata, in an accepted format."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.storage import filetypes
from modellix_jupyter.storage.pictures import shrunk
from modellix_jupyter.storage.thumbnails import data_uri

if TYPE_CHECKING:
    from PIL.Image import Image

# The formats of pictures that the service accepts.
_TAKEN = {filetypes.PNG, filetypes.JPEG, filetypes.WEBP}
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
# The longer side of a preview in pixels, and its maximal bytes.
PREVIEW_PX, PREVIEW_BYTES = 80, 3_000
# The metadata of a picture, such as the place where it was taken.
_METADATA = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif", "comment", "photoshop")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to send: `type` is ``image``, ``video`` or ``audio``."""

    content: bytes
    type: str
    ending: str
    mime: str


def input_file(content: bytes, where: str) -> InputFile:
    """Return a file as it is sent; `where` names it in errors. The original is not changed.

    The orientation in the EXIF data of a picture is applied, and then all metadata is removed, such
    as the place where it was taken.
    """
    if not content:
        raise InvalidRequest(f"{where} is empty.", "Nothing was sent.")
    kind = filetypes.sniff(content[: filetypes.SNIFFED])
    if kind.type not in {"image", "video", "audio"}:
        raise InvalidRequest(
            f"{where} is not a picture, video or sound.", "Nothing was sent; is it the right file?"
        )
    if kind.type != "image":
        return InputFile(content, kind.type, kind.ending, kind.mime)
    content, kind = _plain_picture(content, kind, where)
    return InputFile(content, "image", kind.ending, kind.mime)


def preview(content: bytes) -> str | None:
    """Return a thumbnail of an input as a ``data:`` URI, or None if it is not a picture."""
    from PIL import Image

    if filetypes.sniff(content[: filetypes.SNIFFED]).type != "image":
        return None
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return data_uri("image/jpeg", shrunk(opened, PREVIEW_PX, PREVIEW_BYTES).jpeg)
    except Exception:  # noqa: BLE001 - a decoder can raise any error
        return None


def _plain_picture(
    content: bytes, kind: filetypes.Kind, where: str
) -> tuple[bytes, filetypes.Kind]:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.load()
            said = bool(opened.getexif()) or any(name in opened.info for name in _METADATA)
            said = said or bool(getattr(opened, "text", None))  # of a PNG
            if kind in _TAKEN and not said:
                return content, kind
            upright = ImageOps.exif_transpose(opened)
            return _written(upright, kind if kind in _TAKEN else filetypes.PNG)
    except Exception as error:  # a decoder can raise any error
        raise InvalidRequest(
            f"{where} is a picture that cannot be opened.", "Save it as PNG, and name that."
        ) from error


def _written(picture: Image, kind: filetypes.Kind) -> tuple[bytes, filetypes.Kind]:
    """Encode a picture with its colour profile, and without other metadata."""
    profile = picture.info.get("icc_profile")
    picture.info = {k: v for k, v in picture.info.items() if k == "transparency"}
    if kind is filetypes.PNG and picture.mode not in _PNG_MODES:
        picture = picture.convert("RGB")
    target = io.BytesIO()
    # each format ignores the options of other formats
    picture.save(target, kind.decoder, quality=95, subsampling=0, icc_profile=profile)
    return target.getvalue(), kind
