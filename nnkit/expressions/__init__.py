"""Formulas typed by people: parsed into a small tree, never evaluated as Python.

A text can reach only what this grammar names; there are no attributes, indices, strings or calls
of anything but the functions listed, and length, nesting and number of parts are limited::

    formula    = { name "=" sum ";" } sum [ (">" | "<" | ">=" | "<=") sum ] [ ";" ]
    sum        = product { ("+" | "-") product }
    product    = sign { ("*" | "/") sign }
    sign       = "-" sign | power
    power      = atom [ ("^" | "**") sign ]          right to left: 2^3^2 = 2^9, -x^2 = -(x^2)
    atom       = number | name | function "(" sum { "," sum } ")" | "(" sum ")"

Names are the variables the caller allows, ``pi``, ``e``, and what an earlier ``name = ...`` gave.
A comparison makes the formula a threshold, worth 1 where it holds and 0 elsewhere.

Every mistake is an `ExpressionError` with its position; `point_at` shows the place.
"""

from .parser import MAX_DEPTH, MAX_LENGTH, MAX_NODES, parse, point_at
from .tree import (
    CONSTANTS,
    FUNCTIONS,
    Binary,
    Call,
    Expression,
    Name,
    Negate,
    Node,
    Number,
)

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "MAX_NODES",
    "Binary",
    "Call",
    "Expression",
    "Name",
    "Negate",
    "Node",
    "Number",
    "parse",
    "point_at",
]
