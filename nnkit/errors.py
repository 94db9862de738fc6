"""The exceptions people meet: each says what was expected, what came, and how to mend it."""

from __future__ import annotations


class NnkitError(Exception):
    """Base of every error raised on purpose by nnkit."""


class ShapeError(NnkitError, ValueError):
    """Arrays whose shapes (or dtypes) do not fit together."""


class GraphError(NnkitError, RuntimeError):
    """A backward pass that cannot be right: no graph, a freed graph, a changed parameter."""


class ConfigError(NnkitError, ValueError):
    """A setting that is unknown, out of range, or does not go with another one.

    Args:
        field: the name of the setting, as it is spelled in the configuration.
        message: what is wrong with it and what is allowed.

    Attributes:
        field, message: as given, for those who name the setting in another way.

    >>> error = ConfigError("units", "must be from 1 to 64, got 0")
    >>> str(error), error.field, error.message
    ('units: must be from 1 to 64, got 0', 'units', 'must be from 1 to 64, got 0')
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class DataError(NnkitError, ValueError):
    """Data that cannot be learned from: empty, not finite, one class only, a malformed file."""


class FileError(NnkitError, ValueError):
    """A weights file that is damaged, hostile, or made for another network."""


class ExpressionError(NnkitError, ValueError):
    """A formula that cannot be understood, with the place (`position`, counted from 0)."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position
