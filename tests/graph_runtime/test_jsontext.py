from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.jsontext import MAX_BYTES, MAX_DEPTH, MAX_INT, MAX_STRING, check_json, read_json
from graph_runtime.problem import Refused

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INT, MAX_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner, max_size=5)
    ),
)


@given(plain, st.booleans())
def test_plain_json_is_read_as_it_is(value: object, ascii: bool):
    assert read_json(json.dumps(value, ensure_ascii=ascii)) == value
    check_json(value)


@given(st.binary() | st.text())
def test_anything_else_is_refused_and_nothing_else_is_raised(data: bytes | str):
    try:
        value = read_json(data)
    except Refused as refused:
        assert all(one.place.startswith("document") and one.what and one.fix for one in refused.problems)
    else:
        check_json(value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[1,]", "json-malformed"),
        ("", "json-malformed"),
        ('{"a": 1, "b": 2, "a": 3}', "json-duplicate"),
        ("[NaN]", "json-number"),
        ("[-Infinity]", "json-number"),
        ("1e999", "json-number"),
        (str(MAX_INT + 1), "json-number"),
        ("9" * 5000, "json-number"),
        ('"\\ud800"', "json-value"),
        (b'"\xff"', "json-malformed"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "json-too-deep"),
        ("[" * 200_000, "json-too-deep"),
        (json.dumps("x" * (MAX_STRING + 1)), "json-value"),
    ],
)
def test_what_is_out_of_bounds_is_refused(text: str | bytes, code: str):
    with pytest.raises(Refused) as refused:
        read_json(text)
    assert refused.value.problems[0].code == code


def test_what_is_just_in_bounds_is_read():
    assert read_json(str(MAX_INT)) == MAX_INT
    assert read_json(str(-MAX_INT)) == -MAX_INT
    deep = read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    check_json(deep)
    assert read_json(json.dumps("x" * MAX_STRING)) == "x" * MAX_STRING
    assert read_json(b" " * (MAX_BYTES - 1) + b"1") == 1
    with pytest.raises(Refused, match="bytes"):
        read_json(b" " * MAX_BYTES + b"1")


def test_brackets_in_texts_are_no_nesting():
    assert read_json(json.dumps(['["[' * 100])) == ['["[' * 100]


def test_the_place_of_a_mistake_is_named():
    with pytest.raises(Refused) as refused:
        read_json('{\n "a": 1\n "b": 2}', name="cat.json")
    assert refused.value.problems[0].place == "cat.json, line 3, column 2"


@pytest.mark.parametrize(
    "text", ['"' + '\\"' * 2_000_000, '"' * 3_000_001, "[" + '{"a":1},' * 200_000, '{"a":[' * 40 + '"' * 99]
)
def test_hostile_text_takes_time_in_proportion_to_its_length(text: str):
    began = time.process_time()
    with pytest.raises(Refused):
        read_json(text)
    assert time.process_time() - began < 5


def test_many_equal_keys_are_found_quickly():
    pairs = ",".join(f'"{i}":1' for i in range(200_000))
    began = time.process_time()
    with pytest.raises(Refused, match="'199999'"):
        read_json("{" + pairs + ',"199999":2}')
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1: 2}, {"a": object()}, 1 << 60, "\ud800", {"\ud800": 1}]
)
def test_python_values_that_json_cannot_spell_are_refused(value: object):
    with pytest.raises(Refused):
        check_json({"in": [value]})
