"""Captions as the web writes them, without addresses, numbers and markup: the cleaning of DeepFloyd IF.

It was made for training and deletes more than it should of what people write: all Chinese characters, sizes such as
512x512, "free download". It is applied twice. The steps, their order and their oddities are those of diffusers'
`_clean_caption`; only mended encodings (ftfy) need a library, and are left alone where it is not installed.
"""

from __future__ import annotations

import html
import html.entities
import importlib
import importlib.util
import re
import sys
from html.parser import HTMLParser
from urllib.parse import unquote_plus

ADDRESS = r"\b((?:{}:(?:\/{{1,3}}|[a-zA-Z0-9%])|[a-zA-Z0-9.\-]+[.](?:com|co|ru|net|org|edu|gov|it)[\w/-]*\b\/?(?!@)))"
DASHES = (
    "\u002d\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u301c\u3030\u30a0\ufe31\ufe32\ufe58"
    "\ufe63\uff0d"
)
BAD = r"[#®•©™&@·º½¾¿¡§~\)\(\]\[\}\{\|\\/*]{1,}"
UNREAD = ("script", "style", "template")
FILES = "png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4"

# (pattern, what stands in its place), in the order in which they are applied.
BEFORE_MARKUP = (
    ("<person>", "person"),
    (ADDRESS.format("https?"), ""),
    (ADDRESS.format("www"), ""),
)
BEFORE_MENDING = (
    (r"@[\w\d]+\b", ""),
    # strokes, enclosed letters, compatibility forms, hexagrams and all unified ideographs
    ("[\u31c0-\u31ef\u31f0-\u31ff\u3200-\u32ff\u3300-\u33ff\u3400-\u4dbf\u4dc0-\u4dff\u4e00-\u9fff]+", ""),
    (f"[{DASHES}]+", "-"),
    ("[`´«»“”¨]", '"'),
    ("[‘’]", "'"),
    (r"&quot;?", ""),
    (r"&amp", ""),
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", " "),
    (r"\d:\d\d\s+$", ""),
    (r"\\n", " "),
    (r"#\d{1,3}\b", ""),
    (r"#\d{5,}\b", ""),
    (r"\b\d{6,}\b", ""),
    (rf"[\S]+\.(?:{FILES})", ""),
    (r"[\"\']{2,}", '"'),
    (r"[\.]{2,}", " "),
    (BAD, " "),
    (r"\s+\.\s+", " "),
)
AFTER_MENDING = (
    (r"\b[a-zA-Z]{1,3}\d{3,15}\b", ""),
    (r"\b[a-zA-Z]+\d+[a-zA-Z]+\b", ""),
    (r"\b\d+[a-zA-Z]+\d+\b", ""),
    (r"(worldwide\s+)?(free\s+)?shipping", ""),
    (r"(free\s)?download(\sfree)?", ""),
    (r"\bclick\b\s(?:for|on)\s\w+", ""),
    (rf"\b(?:{FILES})(\simage[s]?)?", ""),
    (r"\bpage\s+\d+\b", ""),
    (r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", " "),
    (r"\b\d+\.?\d*[xх×]\d+\.?\d*\b", ""),
    (r"\b\s+\:\s+", ": "),
    (r"(\D[,\./])\b", r"\1 "),
    (r"\s+", " "),
    (r"^[\"\']([\w\W]+)[\"\']$", r"\1"),
    (r"^[\'\_,\-\:;]", ""),
    (r"[\'\_,\-\:\-\+]$", ""),
    (r"^\.\S+$", ""),
)
MOST = 0.5
"""Share of a prompt's letters below which a note says what was deleted."""


def cleaned(text: str, notes: list[str]) -> str:
    """The text cleaned twice; a note when most of its letters are gone."""
    clean = once(once(text))
    before, after = (sum(c.isalnum() for c in one) for one in (text, clean))
    if after < MOST * before:
        notes.append(
            f"Cleaning the caption left “{clean}” of “{text}”. Chinese characters, sizes and addresses are deleted; "
            "turn cleaning off to keep them."
        )
    return clean


def once(text: str) -> str:
    """One pass of the cleaning."""
    text = _replaced(unquote_plus(text).strip().lower(), BEFORE_MARKUP)
    text = _replaced(_without_markup(text), BEFORE_MENDING)
    if len(re.findall(r"(?:\-|\_)", text)) > 3:
        text = re.sub(r"(?:\-|\_)", " ", text)
    text = html.unescape(html.unescape(_mended(text)))
    return _replaced(text, AFTER_MENDING).strip()


def _replaced(text: str, steps: tuple[tuple[str, str], ...]) -> str:
    for pattern, instead in steps:
        text = re.sub(pattern, instead, text)
    return text


class _Words(HTMLParser):
    """Collects the text outside tags; programs and styles are no text. What is no known character keeps its letters."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in UNREAD

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in UNREAD))

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.found.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(html.entities.html5.get(f"{name};", f"&{name}"))

    def handle_charref(self, name: str) -> None:
        digits = name.lstrip("xX")
        number = int(digits, 16 if digits != name else 10)
        if 0 < number < 256:
            self.handle_data(bytes([number]).decode("windows-1252", "replace"))
        else:
            self.handle_data(chr(number) if 0 < number <= sys.maxunicode else "\N{REPLACEMENT CHARACTER}")


def _without_markup(text: str) -> str:
    words = _Words()
    words.feed(text)
    words.close()
    return "".join(words.found)


def _mended(text: str) -> str:
    """Text whose encoding was mistaken once, repaired, where the library for it is installed."""
    if importlib.util.find_spec("ftfy") is None:
        return text
    mended: str = importlib.import_module("ftfy").fix_text(text)
    return mended
