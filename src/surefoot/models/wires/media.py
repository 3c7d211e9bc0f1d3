"""Pictures, recordings and documents of messages: their kinds, and how they are written into a request."""

from __future__ import annotations

import base64
import mimetypes
from typing import TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from surefoot.errors import UsageError
from surefoot.models.wires.fields import wordless
from surefoot.values import Audio, File, Image, Json, media_type_of

Media: TypeAlias = "Image | Audio | File"
"""A part of a message that is no text."""

_USUAL = {Image: "image/png", Audio: "audio/wav"}

_FORMATS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
}
_TYPES = {"mp3": "audio/mpeg"}


def data_url(media: Media) -> str:
    """Where it lies, or what it holds as a `data:` URL. Raises `UsageError` if it is neither."""
    if media.url:
        return media.url
    return f"data:{media_type(media)};base64,{base64.b64encode(_bytes_of(media)).decode()}"


def inline(media: Media) -> tuple[str, str] | None:
    """Media type and base64 text of what is at hand; None for what lies elsewhere.

    Raises `UsageError` if it is neither.
    """
    if not media.url:
        return media_type(media), base64.b64encode(_bytes_of(media)).decode()
    if not media.url.startswith("data:"):
        return None
    head, _, body = media.url.removeprefix("data:").partition(",")
    kind, *parameters = head.split(";")
    if "base64" not in parameters:
        body = base64.b64encode(unquote_to_bytes(body)).decode()
    return kind or media_type(media), body


def media_type(media: Media) -> str:
    """What it says it is, else what its first bytes say, else its name or address. Raises `UsageError` for none."""
    if media.media_type:
        return media.media_type
    if known := media_type_of(media.data) or guessed_type(media):
        return known
    if isinstance(media, File):
        raise UsageError(
            f"nobody can tell what kind of file {media.name or 'one without a name'} is: give File its media_type, "
            "such as 'application/pdf'"
        )
    return _USUAL[type(media)]


def guessed_type(media: Media) -> str:
    """What its name or the end of its address say it is, or the empty text."""
    name = media.name if isinstance(media, File) else ""
    lies = "" if media.url.startswith("data:") else urlsplit(media.url).path
    return mimetypes.guess_type(name)[0] or mimetypes.guess_type(lies)[0] or ""


def input_audio(audio: Audio, operation: str) -> Json:
    """A recording as both of OpenAI's formats have it. Raises `UsageError` for one that lies elsewhere."""
    at_hand = inline(audio)
    if at_hand is None:
        raise wordless(
            operation, "recordings that lie elsewhere", "give Audio the bytes, as data or `data:` URL"
        )
    kind, data = at_hand
    return {"type": "input_audio", "input_audio": {"data": data, "format": audio_format(kind)}}


def audio_format(kind: str) -> str:
    """What OpenAI's formats call a media type (`audio/mpeg`)."""
    return _FORMATS.get(kind.lower()) or kind.partition("/")[2].removeprefix("x-")


def audio_type(form: str) -> str:
    """The media type of what OpenAI's formats call a format (`mp3`)."""
    return _TYPES.get(form, f"audio/{form}")


def text_of(media: Media) -> str | None:
    """The text of a document that is one (`text/...`) and is at hand; None for others. Raises `UsageError`."""
    at_hand = inline(media)
    if at_hand is None or not at_hand[0].startswith("text/"):
        return None
    try:
        return base64.b64decode(at_hand[1]).decode()
    except ValueError:
        raise UsageError(
            f"the file {media.name if isinstance(media, File) else ''} says that it is {at_hand[0]}, and is no text in "
            "UTF-8: give it as what it is"
        ) from None


def _bytes_of(media: Media) -> bytes:
    if not media.data:
        what = {Image: "picture", Audio: "recording", File: "file"}[type(media)]
        raise UsageError(f"a {what} has neither a url nor data: give {type(media).__name__} one of them")
    return media.data
