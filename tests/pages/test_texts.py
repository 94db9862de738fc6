"""Texts from outside are shown as they are."""

from __future__ import annotations

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pages.parts import texts


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(texts).failed == 0


@given(some.text())
def test_nothing_is_lost(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", texts.plain(text), flags=re.DOTALL) == text


@pytest.mark.parametrize("text", ["- a", "+ a", "1. a", "1) a", "# a", "> a", "![a](b)", "&amp;"])
def test_no_list_heading_or_picture_is_made_of_a_name(text: str) -> None:
    assert not re.search(r"(?<!\\)[-+.)#>!&]", texts.plain(text))
