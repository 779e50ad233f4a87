"""What a file is, by its first bytes and nothing else.

What is served or taken as a picture is on this list; everything else is bytes to be downloaded. SVG is not on it: it
can carry scripts. Knows nothing of names.
"""

from __future__ import annotations

HEAD = 64  # bytes that are looked at
OTHER = "application/octet-stream"
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/avif"})
SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "image/avif": ".avif",
}
# What browsers show without help; TIFF they do not.
SHOWN = PICTURES - {"image/tiff"} | {"video/mp4", "video/webm", "audio/wav", "audio/flac", "audio/ogg"}


def media_type(head: bytes) -> str:
    """The media type of a file that begins like this; `OTHER` for everything not on the list."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if head[8:12] == b"WEBP" else "audio/wav"
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return "image/tiff"
    if head[:2] == b"BM" and len(head) >= 18 and head[6:10] == b"\x00\x00\x00\x00" and head[14] in (12, 40, 108, 124):
        return "image/bmp"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), 64), 4))}
        if brands & {b"avif", b"avis"}:
            return "image/avif"
        return "video/mp4" if brands & {b"isom", b"iso2", b"mp41", b"mp42", b"avc1"} else OTHER
    if head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head:
        return "video/webm"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    return "audio/ogg" if head.startswith(b"OggS\x00") else OTHER
