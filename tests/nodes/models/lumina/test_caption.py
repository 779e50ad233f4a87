"""Captions cleaned: pairs that diffusers' cleaner (with Beautiful Soup and ftfy) gives, and when a note is made."""

from __future__ import annotations

import importlib.util

import pytest

from nodes.models.lumina.caption import cleaned

PAIRS = {
    "山中有一座古老的寺庙, misty": "misty",
    "A <b>red</b> fox &amp; a <person> at https://example.com/a?b=c now": "a red fox a person at ?b=c now",
    "Page 12 of the download free book, 512x512": "of the book",
    '"""AUSVERKAUFT""" #123 #1234567 jc6640vc IMG_2034.jpg': "ausverkauft",
    "this-is-my-cute-cat_and_dog": "this is my cute cat and dog",
    "naïve café — “quoted” ‘text’ …": "naïve café - \"quoted\" 'text' …",
    "click here for more, worldwide free shipping": "click here for more",
    "10.0.0.1 at 3:45 ": "at 3:45",
    "a.b.c.d www.foo.com/bar": "a. b. c. d",
    "😀 emoji 漢字 かな カナ": "😀 emoji かな カナ",
    "It costs $5.00, or 12345678 yen/12": "it costs $5.00, or yen 12",
    "  'hello world'  ": "hello world",
    "A photo of @john & friends (in 1999) [sic]": "a photo of friends in 1999 sic",
    "x × y 3x4 5×6": "x × y",
    "a\\nb\\nc": "a b c",
    "<p>One<br/>two</p><script>alert(1)</script>": "onetwo",
    "&lt;div&gt; test &#39;quote&#39; &notit; &copy": "test 'quote' notit copy",
    "AT&T R&D 50% off!": "at t r d 50% off!",
    "foo+bar%20baz": "foo bar baz",
    "ends with -": "ends with",
    ".hidden": "",
    "j2d1a2a test": "test",
    "a:b c : d": "a:b c: d",
}


@pytest.mark.parametrize("text", PAIRS)
def test_it_is_what_the_known_cleaner_makes_of_it(text: str) -> None:
    assert cleaned(text, []) == PAIRS[text]


@pytest.mark.skipif(importlib.util.find_spec("ftfy") is None, reason="mending encodings needs ftfy")
def test_encodings_are_mended_where_the_library_for_it_is_there() -> None:
    assert cleaned("ﬁne ligature ＡＢＣ", []) == "fine ligature abc"


@pytest.mark.parametrize(("text", "said"), [("山中有一座古老的寺庙, misty", 1), ("A red fox, 512x512", 0), ("", 0)])
def test_a_note_says_when_most_of_a_text_was_deleted(text: str, said: int) -> None:
    notes: list[str] = []
    cleaned(text, notes)
    assert len(notes) == said
    assert not said or ("“misty”" in notes[0] and "Chinese" in notes[0])


@pytest.mark.parametrize("text", ["&#0;&#xffffffff;", "<", "&#", "<!--", "<a " * 50, "%zz+%"])
def test_broken_markup_is_no_error(text: str) -> None:
    assert isinstance(cleaned(text, []), str)
