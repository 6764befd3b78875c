"""Shapes as users type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_cli.errors import UsageError
from alexnet_cli.targets.inputs import DTYPES, InputSpec, parse_input


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("3,227,227", InputSpec((3, 227, 227))),
        ("3x227x227", InputSpec((3, 227, 227))),
        ("3×227×227", InputSpec((3, 227, 227))),
        (" 3, 227, 227 ", InputSpec((3, 227, 227))),
        ("227", InputSpec(side=227)),
        ("128:int64", InputSpec((128,), "int64")),
        ("3,8,8:float16", InputSpec((3, 8, 8), "float16")),
        ("mask=1,128:bool", InputSpec((1, 128), "bool", "mask")),
        ("mask=128", InputSpec((128,), None, "mask")),
        (":int64", InputSpec((), "int64")),
        ("label=:int64", InputSpec((), "int64", "label")),
    ],
)
def test_reads(text, spec):
    assert parse_input(text) == spec


@given(st.lists(st.integers(1, 2**31 - 1), min_size=2, max_size=6), st.sampled_from([None, *DTYPES]))
def test_two_spellings_one_shape(sizes, dtype):
    suffix = f":{dtype}" if dtype else ""
    spellings = {parse_input(cross.join(map(str, sizes)) + suffix) for cross in (",", "x")}
    assert spellings == {InputSpec(tuple(sizes), dtype)}


@pytest.mark.parametrize(
    "text", ["a,b", "0,0,0", "3,-1,227", "", ":", "3,,227", "3,227,", "1.5,2", f"{2**31},1", ",", "x"]
)
def test_refuses_and_quotes_what_was_given(text):
    with pytest.raises(UsageError) as error:
        parse_input(text)
    assert repr(text) in error.value.message
    assert error.value.hint


def test_an_unknown_dtype_lists_the_known_ones():
    with pytest.raises(UsageError) as error:
        parse_input("3,8:float33")
    assert "float33" in error.value.message
    assert "float32" in (error.value.hint or "")


def test_a_lone_number_becomes_a_square_image():
    assert InputSpec(side=227).as_image(3) == InputSpec((3, 227, 227))
    assert InputSpec((5,)).as_image(3) == InputSpec((5,))
