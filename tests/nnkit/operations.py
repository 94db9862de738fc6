"""The case table: one row for each operation of `nnkit.functions`.

A row says how to draw problems for an operation: the operation itself with its options, the shapes
of its inputs, and the numbers that they hold. Numbers keep away from kinks and ties, where there
is no derivative to compare with.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnkit import functions as F
from nnkit.functions import Function

Shape = tuple[int, ...]
Values = Callable[[np.random.Generator, Shape], np.ndarray]


@dataclass
class Problem:
    """An operation (made anew by `make`, for some have state) and the shapes of its inputs."""

    make: Callable[[], Function]
    shapes: tuple[Shape, ...]
    values: tuple[Values, ...] = ()  # instead of the row's

    def __repr__(self) -> str:
        return f"{type(self.make()).__name__}{vars(self.make())} of {self.shapes}"


# Numbers ----------------------------------------------------------------------------------------


def real(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(-2, 2, shape)


def wide(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(-8, 8, shape)


def positive(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.5, 2.5, shape)


def nonzero(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.5, 2.5, shape) * rng.choice([-1, 1], shape)


def probability(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.05, 0.95, shape)


def near(offset: float) -> Values:
    """Multiples of a half plus `offset`, a little off: never near those with another offset."""

    def values(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return rng.integers(-4, 4, shape) / 2 + offset + rng.uniform(-0.05, 0.05, shape)

    return values


def distinct(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """No two numbers closer than 0.2."""
    size = int(np.prod(shape))
    return (rng.permutation(size).reshape(shape) - size / 2) * 0.2 + 0.01


def condition(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(0, 2, shape).astype(bool)


def signs(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape)


# Shapes -----------------------------------------------------------------------------------------


def shapes(least: int = 0, dims: tuple[int, int] = (0, 3)) -> st.SearchStrategy[Shape]:
    return hnp.array_shapes(min_dims=dims[0], max_dims=dims[1], min_side=least, max_side=3)


def alone(make: Callable[[], Function]) -> st.SearchStrategy[Problem]:
    """Any shape, for an operation of one input without options."""
    return shapes().map(lambda shape: Problem(make, (shape,)))


def given(
    make: Callable[..., Function], options: st.SearchStrategy[tuple[Any, ...]]
) -> st.SearchStrategy[Problem]:
    """Any shape, for an operation of one input with options that do not depend on it."""
    return st.builds(lambda shape, o: Problem(lambda: make(*o), (shape,)), shapes(), options)


def broadcast(make: Callable[[], Function], inputs: int = 2) -> st.SearchStrategy[Problem]:
    """Shapes that broadcast to one, zero sizes among them."""
    return hnp.mutually_broadcastable_shapes(
        num_shapes=inputs, min_dims=0, max_dims=3, min_side=0, max_side=3
    ).map(lambda drawn: Problem(make, drawn.input_shapes))


def alike(make: Callable[[], Function]) -> st.SearchStrategy[Problem]:
    """A prediction and a target of one shape."""
    return shapes().map(lambda shape: Problem(make, (shape, shape)))


@st.composite
def reduced(draw: st.DrawFn, make: Callable[..., Function], least: int) -> Problem:
    """A shape, and None, one axis (from either end) or several axes of it to reduce over."""
    shape = draw(shapes(least))
    ways = [st.none()]
    if shape:
        ways.append(st.integers(-len(shape), len(shape) - 1))
        ways.append(
            st.sets(st.integers(0, len(shape) - 1), min_size=1).map(
                lambda axes: tuple(a - len(shape) * (a % 2) for a in sorted(axes))
            )
        )
    axis, keepdims = draw(st.one_of(ways)), draw(st.booleans())
    return Problem(lambda: make(axis, keepdims), (shape,))


@st.composite
def along_axis(draw: st.DrawFn, make: Callable[..., Function]) -> Problem:
    """A shape and one axis of it with at least one element."""
    shape = draw(shapes(dims=(1, 3)).filter(any))
    axis = draw(st.sampled_from([i for i, n in enumerate(shape) if n]))
    axis = axis - len(shape) * draw(st.booleans())
    return Problem(lambda: make(axis), (shape,))


@st.composite
def reshaped(draw: st.DrawFn) -> Problem:
    shape = draw(shapes())
    size = int(np.prod(shape))
    targets = [(size,), (1, *shape), shape[::-1], (*shape, 1)]
    if size:
        targets += [(-1,), (shape[0], -1) if shape else (-1, 1)]
    target = draw(st.sampled_from(targets))
    return Problem(lambda: F.Reshape(target), (shape,))


@st.composite
def transposed(draw: st.DrawFn) -> Problem:
    shape = draw(shapes())
    axes = draw(st.none() | st.permutations(range(len(shape))).map(tuple))
    if axes:
        axes = tuple(a - len(shape) * draw(st.booleans()) for a in axes)
    return Problem(lambda: F.Transpose(axes), (shape,))


@st.composite
def indexed(draw: st.DrawFn) -> Problem:
    shape = draw(shapes(least=1, dims=(1, 3)))
    index = draw(
        hnp.basic_indices(shape, allow_newaxis=True)
        | hnp.integer_array_indices(shape)
        | hnp.arrays(bool, shape)
        | st.integers(-shape[0], shape[0] - 1)
        | st.slices(shape[0])
        | st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4)
    )
    return Problem(lambda: F.Index(index), (shape,))


@st.composite
def joined(draw: st.DrawFn, make: Callable[[int], Function], *, same: bool) -> Problem:
    """Several arrays, of the same shape or differing along the axis that they are joined on."""
    shape = draw(shapes(dims=(0 if same else 1, 3)))
    dims = len(shape) + same
    axis = draw(st.integers(-dims, dims - 1))
    count = draw(st.integers(1, 3))
    parts = [list(shape) for _ in range(count)]
    if not same:
        for part in parts:
            part[axis] = draw(st.integers(0, 3))
    return Problem(lambda: make(axis), tuple(tuple(part) for part in parts))


def multiplied() -> st.SearchStrategy[Problem]:
    """Vectors, matrices and stacks of matrices, zero sizes among them."""
    return hnp.mutually_broadcastable_shapes(
        signature=np.matmul.signature, min_side=0, max_side=3, max_dims=2
    ).map(lambda drawn: Problem(F.MatMul, drawn.input_shapes))


def layered(make: Callable[[], Function], *, bias: bool) -> st.SearchStrategy[Problem]:
    """Inputs (n, i), weights (o, i) and a bias (o,); n may be zero."""

    def problem(n: int, i: int, o: int) -> Problem:
        return Problem(make, ((n, i), (o, i), (o,)) if bias else ((n, i), (o, i)))

    return st.builds(problem, st.integers(0, 4), st.integers(1, 4), st.integers(1, 4))


@st.composite
def normalized(draw: st.DrawFn, *, batch: bool) -> Problem:
    shape = draw(shapes(least=1, dims=(1, 3)))
    eps = draw(st.sampled_from([1e-5, 1e-2]))
    if not batch:
        axes = tuple(sorted(draw(st.sets(st.integers(-len(shape), -1), min_size=1))))
        return Problem(lambda: F.Normalize(axes, eps), (shape,))
    momentum = draw(st.sampled_from([0.1, 0.7]))

    def make() -> Function:
        rest = shape[1:]
        return F.BatchStatistics((0,), eps, momentum, np.zeros(rest), np.ones(rest))

    return Problem(make, (shape,))


@st.composite
def dropped(draw: st.DrawFn) -> Problem:
    p, seed = draw(st.sampled_from([0.0, 0.3, 0.8])), draw(st.integers(0, 99))
    return Problem(lambda: F.Dropout(p, np.random.default_rng(seed)), (draw(shapes()),))


@st.composite
def classified(draw: st.DrawFn) -> Problem:
    """Logits (..., classes) with a class for each row, or a distribution."""
    rows = draw(shapes(dims=(0, 2)))
    classes = draw(st.integers(1, 4))

    def labels(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return rng.integers(0, classes, shape).astype(float)

    def mixture(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        return rng.dirichlet(np.ones(classes), shape[:-1])

    logits = (*rows, classes)
    if draw(st.booleans()):
        return Problem(F.CrossEntropy, (logits, rows), (real, labels))
    return Problem(F.CrossEntropy, (logits, logits), (real, mixture))


# The table --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """How to draw problems for one operation."""

    function: type[Function]
    problems: st.SearchStrategy[Problem]
    values: tuple[Values, ...] = (real,)
    data: tuple[int, ...] = field(default=())  # inputs that never receive a gradient

    def __str__(self) -> str:
        return self.function.__name__

    def inputs(self, problem: Problem, seed: int) -> list[np.ndarray]:
        """float64 inputs (masks stay masks), in C order."""
        rng = np.random.default_rng(seed)
        values = problem.values or self.values
        if len(values) == 1:
            values *= len(problem.shapes)
        return [np.asarray(v(rng, s)) for v, s in zip(values, problem.shapes, strict=True)]


exponents = st.sampled_from([2, 3, -1, 0.5, 1, 0, -2.5, 2.0]).map(lambda p: (p,))
limits = st.sampled_from([(-0.5, 0.5), (None, 0.5), (-1.0, None), (None, None), (0.0, 0.0)])
slopes = st.sampled_from([0.01, 0.3, 1.0]).map(lambda a: (a,))

LOSSES = (
    Row(F.SquaredError, alike(F.SquaredError), data=(1,)),
    Row(F.AbsoluteError, alike(F.AbsoluteError), (near(0.25), near(0.0)), data=(1,)),
    Row(
        F.HuberError,
        st.builds(
            lambda shape, delta: Problem(lambda: F.HuberError(delta), (shape, shape)),
            shapes(),
            st.sampled_from([0.5, 1.0, 2.0]),
        ),
        (near(0.25), near(0.0)),
        data=(1,),
    ),
    Row(F.HingeError, alike(F.HingeError), (near(0.25), signs), data=(1,)),
    Row(
        F.BinaryCrossEntropyError,
        alike(F.BinaryCrossEntropyError),
        (probability, probability),
        data=(1,),
    ),
    Row(
        F.BinaryCrossEntropyWithLogits,
        alike(F.BinaryCrossEntropyWithLogits),
        (wide, probability),
        data=(1,),
    ),
    Row(F.CrossEntropy, classified(), data=(1,)),
)


@st.composite
def totalled(draw: st.DrawFn) -> Problem:
    """The mean or the sum of any loss."""
    row = draw(st.sampled_from(LOSSES))
    reduction = draw(st.sampled_from(["mean", "sum"]))
    problem = draw(row.problems.filter(lambda problem: all(map(all, problem.shapes))))
    values = problem.values or row.values
    return Problem(lambda: F.Reduced(problem.make(), reduction), problem.shapes, values)


TABLE = (
    Row(F.Add, broadcast(F.Add)),
    Row(F.Subtract, broadcast(F.Subtract)),
    Row(F.Multiply, broadcast(F.Multiply)),
    Row(F.Divide, broadcast(F.Divide), (real, nonzero)),
    Row(F.Power, given(F.Power, exponents), (positive,)),
    Row(F.PowerOf, broadcast(F.PowerOf), (positive, real)),
    Row(F.Negative, alone(F.Negative)),
    Row(F.Exp, alone(F.Exp)),
    Row(F.Log, alone(F.Log), (positive,)),
    Row(F.Sqrt, alone(F.Sqrt), (positive,)),
    Row(F.Abs, alone(F.Abs), (nonzero,)),
    Row(F.Sin, alone(F.Sin), (wide,)),
    Row(F.Cos, alone(F.Cos), (wide,)),
    Row(F.Clip, given(F.Clip, limits), (near(0.25),)),
    Row(F.Maximum, broadcast(F.Maximum), (near(0.0), near(0.25))),
    Row(F.Minimum, broadcast(F.Minimum), (near(0.0), near(0.25))),
    Row(F.Where, broadcast(F.Where, inputs=3), (condition, real, real), data=(0,)),
    Row(F.Cast, given(F.Cast, st.just((np.float64,)))),
    Row(F.MatMul, multiplied()),
    Row(F.Linear, layered(F.Linear, bias=True)),
    Row(F.LinearWithoutBias, layered(F.LinearWithoutBias, bias=False)),
    Row(F.Sum, reduced(F.Sum, least=0)),
    Row(F.Mean, reduced(F.Mean, least=1)),
    Row(F.Max, reduced(F.Max, least=1), (distinct,)),
    Row(F.Reshape, reshaped()),
    Row(F.Transpose, transposed()),
    Row(F.Index, indexed()),
    Row(F.Concatenate, joined(F.Concatenate, same=False)),
    Row(F.Stack, joined(F.Stack, same=True)),
    Row(F.ReLU, alone(F.ReLU), (nonzero,)),
    Row(F.LeakyReLU, given(F.LeakyReLU, slopes), (nonzero,)),
    Row(F.ELU, given(F.ELU, slopes), (nonzero,)),
    Row(F.Tanh, alone(F.Tanh), (wide,)),
    Row(F.Sigmoid, alone(F.Sigmoid), (wide,)),
    Row(F.SiLU, alone(F.SiLU), (wide,)),
    Row(F.Softplus, alone(F.Softplus), (wide,)),
    Row(F.GELU, alone(F.GELU), (wide,)),
    Row(F.GELUTanh, alone(F.GELUTanh), (wide,)),
    Row(F.Softmax, along_axis(F.Softmax)),
    Row(F.LogSoftmax, along_axis(F.LogSoftmax)),
    Row(F.Normalize, normalized(batch=False), (distinct,)),
    Row(F.BatchStatistics, normalized(batch=True), (distinct,)),
    Row(F.Dropout, dropped()),
    *LOSSES,
    Row(F.Reduced, totalled(), data=(1,)),
)


def all_functions(base: type[Function] = Function) -> Iterator[type[Function]]:
    """Every operation of `nnkit.functions`."""
    for cls in base.__subclasses__():
        if cls.__module__.startswith("nnkit.functions"):
            yield cls
        yield from all_functions(cls)
