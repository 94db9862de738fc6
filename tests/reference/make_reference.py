"""Write the reference values beside this file, with PyTorch. Run by hand, once:

    python -m pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
    python tests/reference/make_reference.py

The same PyTorch gives the same files. Each case draws its inputs from a generator seeded by its
name, so a new case leaves the others as they are. Inputs are exact in float32: both dtypes answer
the same question. `reference` (``__init__.py``) describes the format.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler

DTYPES = ("float64", "float32")
STEPS = 100

Arrays = dict[str, np.ndarray]
Function = Callable[..., torch.Tensor]


class Group:
    """The cases of one file; `save` packs their arrays as the loader expects them."""

    def __init__(self) -> None:
        self.cases: list[dict[str, Any]] = []

    def add(
        self, name: str, kind: str, dtype: str, options: dict[str, Any], arrays: Arrays
    ) -> None:
        full = f"{name}-{dtype}"
        assert full not in [case["name"] for case in self.cases], f"two cases called {full}"
        self.cases.append(
            {"name": full, "kind": kind, "dtype": dtype, "options": options, "arrays": arrays}
        )

    def save(self, group: str) -> None:
        vectors: dict[str, list[np.ndarray]] = {}
        lengths: dict[str, int] = {}
        places: dict[tuple[str, bytes], int] = {}

        def place(array: np.ndarray) -> list[Any]:
            dtype, flat = array.dtype.name, array.reshape(-1)
            start = places.setdefault((dtype, flat.tobytes()), lengths.get(dtype, 0))
            if start == lengths.get(dtype, 0):
                vectors.setdefault(dtype, []).append(flat)
                lengths[dtype] = start + flat.size
            return [dtype, start, list(array.shape)]

        listed = [
            {**case, "arrays": {name: place(a) for name, a in case["arrays"].items()}}
            for case in self.cases
        ]
        text = json.dumps(listed, separators=(",", ":")).encode()
        path = Path(__file__).with_name(f"{group}.npz")
        np.savez_compressed(
            path,
            cases=np.frombuffer(text, np.uint8),
            **{dtype: np.concatenate(parts) for dtype, parts in vectors.items()},
        )
        print(f"{path.name:16} {len(listed):4} cases {path.stat().st_size / 1024:6.0f} kB")


def normal(name: str, *shape: int) -> np.ndarray:
    """Normal numbers that belong to this name, exact in float32."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return np.asarray(rng.normal(size=shape), np.float32).astype(np.float64)


def tensor(value: np.ndarray, dtype: str, *, gradient: bool = True) -> torch.Tensor:
    made = torch.tensor(value, dtype=getattr(torch, dtype))
    return made.requires_grad_(gradient)


def array(value: torch.Tensor) -> np.ndarray:
    return value.detach().numpy().copy()


def numbered(prefix: str, values: Iterable[np.ndarray | torch.Tensor]) -> Arrays:
    return {
        f"{prefix}{i}": array(v) if isinstance(v, torch.Tensor) else v for i, v in enumerate(values)
    }


# --- operations -----------------------------------------------------------------------------------

ZEROS = np.array([-0.0, 0.0])
EXTREME = np.array([-1e4, -50, -20, -5, -1, -0.5, -1e-3, 1e-3, 0.5, 1, 5, 20, 50, 1e4], np.float32)
EXTREME = EXTREME.astype(np.float64)
EXTREME_ROWS = np.array(
    [
        [1e4, -1e4, 0, 1, -1],
        [50, -50, 49, 0, -0.0],
        [3, 3, 3, 3, 3],
        [-1e4, -1e4, -1e4, -1e4, -9999],
    ],
    np.float64,
)


def operation(
    group: Group, name: str, kind: str, function: Function, inputs: list[np.ndarray], **options: Any
) -> None:
    """One function of tensors: output, and the input gradients under a random cotangent."""
    for dtype in DTYPES:
        tensors = [tensor(x, dtype) for x in inputs]
        output = function(*tensors)
        cotangent = tensor(normal(f"{name} cotangent", *output.shape), dtype, gradient=False)
        grads = torch.autograd.grad(output, tensors, cotangent)
        arrays = (
            numbered("input", tensors)
            | {"output": array(output), "cotangent": array(cotangent)}
            | numbered("grad", grads)
        )
        group.add(name, kind, dtype, options, arrays)


def activations(group: Group) -> None:
    pointwise: list[tuple[str, Function, dict[str, Any]]] = [
        ("relu", F.relu, {}),
        ("leaky_relu", F.leaky_relu, {"negative_slope": 0.01}),
        ("leaky_relu", partial(F.leaky_relu, negative_slope=0.2), {"negative_slope": 0.2}),
        ("elu", F.elu, {"alpha": 1.0}),
        ("elu", partial(F.elu, alpha=0.5), {"alpha": 0.5}),
        ("gelu", F.gelu, {"approximate": "none"}),
        ("gelu", partial(F.gelu, approximate="tanh"), {"approximate": "tanh"}),
        ("sigmoid", torch.sigmoid, {}),
        ("tanh", torch.tanh, {}),
        ("silu", F.silu, {}),
        # Beyond the threshold PyTorch returns x itself; at 50 that is exact in float64.
        ("softplus", partial(F.softplus, threshold=50), {}),
        ("sin", torch.sin, {}),
    ]
    with_kink = ("relu", "leaky_relu", "elu")
    for kind, function, options in pointwise:
        name = "-".join([kind, *map(str, options.values())])
        zeros = [] if kind in with_kink else ZEROS
        extreme = np.concatenate([EXTREME, zeros])
        operation(group, name, kind, function, [normal(name, 4, 3)], **options)
        operation(group, f"{name}-extreme", kind, function, [extreme], **options)
        if kind in with_kink:
            operation(group, f"{name}-kink", kind, function, [ZEROS], edge="kink", **options)
    for kind, along in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax)):
        for axis in (-1, 0):
            name, function = f"{kind}-axis{axis}", partial(along, dim=axis)
            operation(group, name, kind, function, [normal(name, 4, 5)], axis=axis)
            operation(group, f"{name}-extreme", kind, function, [EXTREME_ROWS], axis=axis)
        name, function = f"{kind}-3d", partial(along, dim=1)
        operation(group, name, kind, function, [normal(name, 2, 3, 2)], axis=1)


def elementwise(group: Group) -> None:
    add = partial(operation, group)
    x = normal("elementwise", 2, 3)
    positive = np.abs(x) + 0.5
    for kind, function, value in (
        ("neg", torch.neg, x),
        ("exp", torch.exp, x),
        ("log", torch.log, positive),
        ("sqrt", torch.sqrt, positive),
        ("abs", torch.abs, x),
    ):
        add(kind, kind, function, [value])
    add("abs-kink", "abs", torch.abs, [ZEROS], edge="kink")
    tiny_to_large = np.array([1e-30, 1e-4, 1, 1e4, 1e30], np.float32).astype(np.float64)
    add("log-extreme", "log", torch.log, [tiny_to_large])
    add("exp-extreme", "exp", torch.exp, [np.array([-1e4, -80.0, 0, 80])])

    shapes = {
        "same": ((2, 3), (2, 3)),
        "row": ((2, 3), (3,)),
        "outer": ((2, 1), (1, 3)),
        "scalar": ((), (2, 3)),
        "deep": ((4, 1, 3), (2, 1)),
    }
    binary = {
        "add": torch.add,
        "sub": torch.sub,
        "mul": torch.mul,
        "div": torch.div,
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "power": torch.pow,
    }
    for kind, function in binary.items():
        for label, (left, right) in shapes.items():
            name = f"{kind}-{label}"
            a, b = normal(f"{name} left", *left), normal(f"{name} right", *right)
            if kind == "power":
                a = np.abs(a) + 0.5
            if kind == "div":
                b = np.copysign(np.abs(b) + 0.5, b)
            add(name, kind, function, [a, b])
    tied = [np.array([1.0, 2, 3]), np.array([1.0, 3, 2])]
    for kind in ("maximum", "minimum"):
        add(f"{kind}-ties", kind, binary[kind], tied, edge="ties")

    for exponent, value in (
        (2, x),
        (3, x),
        (0.5, positive),
        (-1, positive),
        (1, x),
        (-2.5, positive),
    ):
        function = partial(torch.pow, exponent=exponent)
        add(f"power-{exponent}", "power", function, [value], exponent=exponent)
    for exponent in (1, 2, 3):
        function = partial(torch.pow, exponent=exponent)
        add(f"power-{exponent}-of-zero", "power", function, [ZEROS], exponent=exponent)
    for low, high in ((-0.5, 0.5), (None, 0.25), (-0.25, None)):
        function = partial(torch.clamp, min=low, max=high)
        add(f"clip-{low}-{high}", "clip", function, [x], low=low, high=high)
    bounds = np.array([-1.0, -0.5, 0, 0.5, 1])
    clamp = partial(torch.clamp, min=-0.5, max=0.5)
    add("clip-bounds", "clip", clamp, [bounds], low=-0.5, high=0.5, edge="bounds")
    condition = [[True, False, True], [False, False, True]]
    for label, (left, right) in shapes.items():
        if label != "deep":
            sides = [normal(f"where-{label} left", *left), normal(f"where-{label} right", *right)]
            function = partial(torch.where, torch.tensor(condition))
            add(f"where-{label}", "where", function, sides, condition=condition)


def reductions(group: Group) -> None:
    def variance(x: torch.Tensor, **how: Any) -> torch.Tensor:
        return torch.var(x, correction=0, **how)

    functions = {
        "sum": torch.sum,
        "mean": torch.mean,
        "max": torch.amax,
        "min": torch.amin,
        "var": variance,
        "logsumexp": torch.logsumexp,
    }
    for kind, function in functions.items():
        for axis in (None, 0, -1, (0, 2)):
            for keepdims in (False, True):
                if axis is None and (keepdims or kind == "logsumexp"):
                    continue
                name = f"{kind}-axis{axis}" + "-keepdims" * keepdims
                how = {} if axis is None else {"dim": axis, "keepdim": keepdims}
                reduce = partial(function, **how)
                x = normal(name, 2, 3, 4)
                operation(group, name, kind, reduce, [x], axis=axis, keepdims=keepdims)
    ties = np.array([[1.0, 3, 3], [2, 2, 2]])
    for kind in ("max", "min"):
        reduce = partial(functions[kind], dim=1)
        ask = {"axis": 1, "keepdims": False, "edge": "ties"}
        operation(group, f"{kind}-ties", kind, reduce, [ties], **ask)
    reduce = partial(torch.logsumexp, dim=1)
    ask = {"axis": 1, "keepdims": False}
    operation(group, "logsumexp-extreme", "logsumexp", reduce, [EXTREME_ROWS], **ask)


def shapes_and_products(group: Group) -> None:
    add = partial(operation, group)
    for left, right in (
        ((2, 3), (3, 4)),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((2, 1, 3, 4), (3, 4, 2)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 2)),
    ):
        name = f"matmul-{'x'.join(map(str, left))}-{'x'.join(map(str, right))}"
        sides = [normal(f"{name} left", *left), normal(f"{name} right", *right)]
        add(name, "matmul", torch.matmul, sides)

    def picked(how: Any) -> Function:
        return lambda x: x[how]

    def part(*bounds: int | None) -> dict[str, list[int | None]]:
        return {"slice": list(bounds)}

    mask = [[True, False, True], [False, False, True], [False, True, False], [True, True, False]]
    x = normal("index", 4, 3)
    for label, spelled, how in (
        ("row", [1], 1),
        ("last", [-1, 2], (-1, 2)),
        ("slice", [part(1, 3, None)], np.s_[1:3]),
        ("step", [part(None, None, None), part(None, None, 2)], np.s_[:, ::2]),
        ("column", ["...", 0], np.s_[..., 0]),
        ("newaxis", [part(None, None, None), None, 1], np.s_[:, None, 1]),
        ("repeated", [[0, 0, 2, 0]], [0, 0, 2, 0]),
        ("pairs", [[0, 1, 1, 1], [2, 0, 0, 1]], ([0, 1, 1, 1], [2, 0, 0, 1])),
        ("mixed", [part(None, None, None), [2, 2]], np.s_[:, [2, 2]]),
        ("mask", [mask], torch.tensor(mask)),
    ):
        add(f"index-{label}", "index", picked(how), [x], index=spelled)

    def together(join: Function, axis: int) -> Function:
        return lambda *parts: join(parts, dim=axis)

    for axis in (0, 1, -1):
        wide = [
            normal(f"concatenate {i}", *((n, 3) if axis == 0 else (3, n)))
            for i, n in enumerate((1, 2, 4))
        ]
        same = [normal(f"stack {i}", 2, 3) for i in range(3)]
        add(f"concatenate-axis{axis}", "concatenate", together(torch.cat, axis), wide, axis=axis)
        add(f"stack-axis{axis}", "stack", together(torch.stack, axis), same, axis=axis)
    y = normal("shapes", 2, 3, 4)
    add("reshape", "reshape", partial(torch.reshape, shape=(4, -1)), [y], shape=[4, -1])
    add("transpose", "transpose", lambda x: x.permute(2, 0, 1), [y], axes=[2, 0, 1])


# --- layers ---------------------------------------------------------------------------------------


def leaf_gradients(
    output: torch.Tensor, cotangent: torch.Tensor, leaves: dict[str, torch.Tensor], suffix: str = ""
) -> Arrays:
    grads = torch.autograd.grad(output, list(leaves.values()), cotangent)
    return {f"grad_{leaf}{suffix}": array(g) for leaf, g in zip(leaves, grads, strict=True)}


def layers(group: Group) -> None:
    for dtype in DTYPES:
        for shape, bias in (((5, 3), True), ((5, 3), False), ((2, 5, 3), True), ((1, 3), True)):
            name = f"linear-{'x'.join(map(str, shape))}" + "-no_bias" * (not bias)
            sizes = {"input": shape, "weight": (4, 3)} | ({"bias": (4,)} if bias else {})
            layer(group, name, "linear", F.linear, sizes, dtype, bias=bias)
        for shape, over, affine, eps in (
            ((4, 6), (6,), True, 1e-5),
            ((4, 6), (6,), False, 1e-5),
            ((4, 6), (6,), True, 1e-2),
            ((2, 3, 4), (4,), True, 1e-5),
            ((2, 3, 4), (3, 4), True, 1e-5),
        ):
            name = f"layer_norm-{'x'.join(map(str, shape))}-{len(over)}-{eps}" + "-plain" * (
                not affine
            )
            sizes = {"input": shape} | ({"weight": over, "bias": over} if affine else {})
            function = partial(F.layer_norm, normalized_shape=over, eps=eps)
            options = {"normalized_shape": list(over), "eps": eps, "affine": affine}
            layer(group, name, "layer_norm", function, sizes, dtype, **options)
        for samples, momentum, eps, affine in (
            (8, 0.1, 1e-5, True),
            (8, 0.3, 1e-2, True),
            (8, 0.1, 1e-5, False),
            (3, 0.1, 1e-5, True),
        ):
            batch_norm(group, samples, dtype, momentum=momentum, eps=eps, affine=affine)


def layer(
    group: Group,
    name: str,
    kind: str,
    function: Function,
    sizes: dict[str, tuple[int, ...]],
    dtype: str,
    **options: Any,
) -> None:
    leaves = {leaf: tensor(normal(f"{name} {leaf}", *n), dtype) for leaf, n in sizes.items()}
    output = function(**leaves)
    cotangent = tensor(normal(f"{name} cotangent", *output.shape), dtype, gradient=False)
    arrays = {leaf: array(value) for leaf, value in leaves.items()}
    arrays |= {"output": array(output), "cotangent": array(cotangent)}
    group.add(name, kind, dtype, options, arrays | leaf_gradients(output, cotangent, leaves))


def batch_norm(group: Group, samples: int, dtype: str, **options: Any) -> None:
    name = f"batch_norm-{samples}-" + "-".join(map(str, options.values()))
    module = torch.nn.BatchNorm1d(3, dtype=getattr(torch, dtype), **options)
    arrays: Arrays = {}
    if options["affine"]:
        for leaf, parameter in module.named_parameters():
            parameter.data = tensor(normal(f"{name} {leaf}", 3), dtype, gradient=False)
            arrays[leaf] = array(parameter)
    for call in ("0", "1", "2", "eval"):
        module.train(call != "eval")
        name_of = "eval_{}" if call == "eval" else "{}" + call
        x = normal(f"{name} {call}", samples, 3) * [1, 4, 0.25] + [0, 2, -1]
        x = x.astype(np.float32)
        if call == "2":
            x[:, 1] = 0  # as from a dead unit
        leaves = {"input": tensor(x, dtype)} | dict(module.named_parameters())
        output = module(leaves["input"])
        cotangent = tensor(normal(f"{name} {call} cotangent", *output.shape), dtype, gradient=False)
        seen = {
            "input": array(leaves["input"]),
            "output": array(output),
            "cotangent": array(cotangent),
        }
        seen |= leaf_gradients(output, cotangent, leaves)
        if call != "eval":
            seen |= {what: array(getattr(module, what)) for what in ("running_mean", "running_var")}
        arrays |= {name_of.format(what): value for what, value in seen.items()}
    group.add(name, "batch_norm", dtype, options, arrays)


# --- losses ---------------------------------------------------------------------------------------


def hinge(score: torch.Tensor, target: torch.Tensor, reduction: str) -> torch.Tensor:
    """max(0, 1 - target * score) with targets of -1 and 1, as scikit-learn's hinge_loss."""
    each = F.relu(1 - target * score)
    return {"mean": torch.mean, "sum": torch.sum, "none": lambda x: x}[reduction](each)


def losses(group: Group) -> None:
    rng = np.random.default_rng(5)
    shape = (6, 2)
    values, targets = normal("losses", *shape), normal("losses target", *shape)
    same = np.where(rng.random(shape) < 0.5, values, targets)
    labels = rng.integers(0, 2, shape).astype(np.float64)
    soft_labels = rng.random(shape).astype(np.float32)
    chances = rng.uniform(0.01, 0.99, shape).astype(np.float32)
    certain = np.array([0, 1, 0, 1, 1e-20, 0.5])
    logits = normal("losses logits", 6, 4)
    classes = rng.integers(0, 4, 6)
    mixtures = rng.dirichlet(np.ones(4), 6).astype(np.float32)
    one_hot = np.eye(4)[classes]
    extreme = np.concatenate([EXTREME, ZEROS])
    margins = np.array([1.0, -1, 0.5, -2, 3])

    cross_entropy, logistic = F.cross_entropy, F.binary_cross_entropy_with_logits
    huber_rows = [
        (
            f"huber-{delta}",
            "huber",
            partial(F.huber_loss, delta=delta),
            values * 2,
            targets,
            {"delta": delta},
        )
        for delta in (1.0, 0.5)
    ]
    rows: list[tuple[str, str, Function, np.ndarray, np.ndarray, dict[str, Any]]] = [
        ("mse", "mse", F.mse_loss, values, targets, {}),
        ("l1", "l1", F.l1_loss, values, targets, {}),
        ("l1-kink", "l1", F.l1_loss, values, same, {"edge": "kink"}),
        *huber_rows,
        ("bce", "bce", F.binary_cross_entropy, chances, labels, {}),
        ("bce-soft", "bce", F.binary_cross_entropy, chances, soft_labels, {}),
        ("bce-certain", "bce", F.binary_cross_entropy, certain, certain[::-1], {"edge": "certain"}),
        ("bce_with_logits", "bce_with_logits", logistic, values, labels, {}),
        ("bce_with_logits-soft", "bce_with_logits", logistic, values, soft_labels, {}),
        ("bce_with_logits-extreme-0", "bce_with_logits", logistic, extreme, extreme * 0, {}),
        ("bce_with_logits-extreme-1", "bce_with_logits", logistic, extreme, extreme * 0 + 1, {}),
        ("cross_entropy-indices", "cross_entropy", cross_entropy, logits, classes, {}),
        ("cross_entropy-one_hot", "cross_entropy", cross_entropy, logits, one_hot, {}),
        ("cross_entropy-mixtures", "cross_entropy", cross_entropy, logits, mixtures, {}),
        (
            "cross_entropy-extreme",
            "cross_entropy",
            cross_entropy,
            EXTREME_ROWS,
            np.array([1, 0, 4, 2]),
            {},
        ),
        ("hinge", "hinge", hinge, values, labels * 2 - 1, {}),
        ("hinge-kink", "hinge", hinge, margins, np.sign(margins), {"edge": "kink"}),
    ]
    for name, kind, function, x, target, options in rows:
        for reduction in ("mean", "sum", "none"):
            for dtype in DTYPES:
                full = f"{name}-{reduction}"
                score = tensor(x, dtype)
                index = target.dtype.kind == "i"
                wanted = (
                    torch.tensor(target) if index else tensor(target.copy(), dtype, gradient=False)
                )
                output = function(score, wanted, reduction=reduction)
                cotangent = tensor(
                    normal(f"{full} cotangent", *output.shape), dtype, gradient=False
                )
                (grad,) = torch.autograd.grad(output, [score], cotangent)
                arrays = {
                    "input0": array(score),
                    "target": array(wanted),
                    "output": array(output),
                    "cotangent": array(cotangent),
                    "grad0": array(grad),
                }
                group.add(full, kind, dtype, {"reduction": reduction, **options}, arrays)


# --- optimizers -----------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}

TRAJECTORIES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {"lr": 0.1}),
    ("sgd", {"lr": 0.05, "momentum": 0.9}),
    ("sgd", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("sgd", {"lr": 0.1, "momentum": 0.8, "dampening": 0.5}),
    ("sgd", {"lr": 0.1, "weight_decay": 0.05}),
    ("sgd", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("sgd", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.05}),
    ("adam", {"lr": 0.05}),
    ("adam", {"lr": 0.05, "betas": [0.8, 0.95]}),
    ("adam", {"lr": 0.05, "eps": 0.01}),
    ("adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("adam", {"lr": 0.05, "amsgrad": True}),
    ("adamw", {"lr": 0.05, "weight_decay": 0.01}),
    ("adamw", {"lr": 0.05, "weight_decay": 0.2}),
    (
        "adamw",
        {"lr": 0.05, "weight_decay": 0.01, "betas": [0.8, 0.95], "eps": 0.01, "amsgrad": True},
    ),
    ("rmsprop", {"lr": 0.02}),
    ("rmsprop", {"lr": 0.02, "alpha": 0.95, "eps": 0.1}),
    ("rmsprop", {"lr": 0.005, "momentum": 0.9}),
    ("rmsprop", {"lr": 0.02, "centered": True}),
    ("rmsprop", {"lr": 0.02, "weight_decay": 0.1}),
    ("rmsprop", {"lr": 0.005, "momentum": 0.8, "centered": True, "weight_decay": 0.1}),
    ("adagrad", {"lr": 0.3}),
    ("adagrad", {"lr": 0.3, "lr_decay": 0.05}),
    ("adagrad", {"lr": 0.3, "initial_accumulator_value": 0.5}),
    ("adagrad", {"lr": 0.3, "weight_decay": 0.1, "eps": 0.01}),
    ("adadelta", {"lr": 1.0}),
    ("adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4}),
    ("adadelta", {"lr": 1.0, "weight_decay": 0.1}),
    ("sgd", {"lr": 0.1, "clip_norm": 0.5}),
    ("adam", {"lr": 0.05, "clip_norm": 0.5}),
    ("sgd", {"lr": 0.1, "momentum": 0.5, "clip_value": 0.2}),
    (
        "sgd",
        {"lr": 0.1, "groups": [{"slice": [0, 5]}, {"slice": [5, 12], "lr": 0.02, "momentum": 0.9}]},
    ),
    (
        "adam",
        {"lr": 0.05, "groups": [{"slice": [0, 5], "weight_decay": 0.1}, {"slice": [5, 12]}]},
    ),
]


def problem() -> Arrays:
    """A well conditioned gradient field; the last parameter starts, and stays, without gradient.

    Start and goal of the others have the same sign and are 4 to 6 away from zero, so that an
    element-wise relative tolerance means something all along the way.
    """
    basis, _ = np.linalg.qr(normal("problem basis", 11, 11))
    A = np.zeros((12, 12))
    A[:11, :11] = (basis * np.linspace(0.2, 2, 11)) @ basis.T
    rng = np.random.default_rng(12)
    sign = rng.choice([-1, 1], 12)
    sign[11] = 0
    p0, goal = (sign * rng.uniform(4, 6, 12).astype(np.float32).astype(np.float64) for _ in "12")
    return {"A": A, "b": A @ goal + 0.1 * np.sin(goal), "p0": p0}


def trajectory(field: Arrays, kind: str, options: dict[str, Any], dtype: str) -> np.ndarray:
    settings = {k: v for k, v in options.items() if k not in ("groups", "clip_norm", "clip_value")}
    groups = options.get("groups", [{"slice": [0, 12]}])
    start = field["p0"].astype(dtype)
    parameters = [tensor(start[slice(*g["slice"])], dtype) for g in groups]
    per_group = [
        {"params": [p], **{k: v for k, v in g.items() if k != "slice"}}
        for p, g in zip(parameters, groups, strict=True)
    ]
    optimizer = OPTIMIZERS[kind](per_group, foreach=False, **settings)
    path = []
    for _ in range(STEPS):
        p = np.concatenate([array(part) for part in parameters]).astype(np.float64)
        g = (field["A"] @ p - field["b"] + 0.1 * np.sin(p)).astype(dtype)
        for parameter, group in zip(parameters, groups, strict=True):
            parameter.grad = torch.tensor(g[slice(*group["slice"])])
        if "clip_norm" in options:
            torch.nn.utils.clip_grad_norm_(parameters, options["clip_norm"])
        if "clip_value" in options:
            torch.nn.utils.clip_grad_value_(parameters, options["clip_value"])
        optimizer.step()
        path.append(np.concatenate([array(part) for part in parameters]))
    return np.array(path)


def optimizers(group: Group) -> None:
    field = problem()
    for kind, options in TRAJECTORIES:
        others = [f"{k}={v}" if k != "groups" else k for k, v in options.items() if k != "lr"]
        for dtype in DTYPES:
            arrays = field | {"p0": field["p0"].astype(dtype)}
            arrays["trajectory"] = trajectory(field, kind, options, dtype)
            group.add("-".join([kind, *others]).replace(" ", ""), kind, dtype, options, arrays)


def clipping(group: Group) -> None:
    gradients = [normal(f"clipping {i}", *shape) for i, shape in enumerate(((3, 4), (4,), ()))]
    for dtype in DTYPES:
        for label, scale, kind, options in (
            ("norm", 1, "clip_grad_norm", {"max_norm": 1.5, "norm_type": 2.0}),
            ("norm-1", 1, "clip_grad_norm", {"max_norm": 1.5, "norm_type": 1.0}),
            ("norm-inf", 1, "clip_grad_norm", {"max_norm": 0.5, "norm_type": float("inf")}),
            ("norm-below", 1, "clip_grad_norm", {"max_norm": 100.0, "norm_type": 2.0}),
            ("norm-zero", 0, "clip_grad_norm", {"max_norm": 1.0, "norm_type": 2.0}),
            ("value", 1, "clip_grad_value", {"clip_value": 0.4}),
        ):
            leaves = [tensor(g, dtype) for g in gradients]
            for leaf, g in zip(leaves, gradients, strict=True):
                leaf.grad = tensor(g * scale, dtype, gradient=False)
            arrays = numbered("grad", [leaf.grad for leaf in leaves])
            norm = getattr(torch.nn.utils, f"{kind}_")(leaves, **options)
            arrays |= numbered("clipped", [leaf.grad for leaf in leaves])
            if norm is not None:
                arrays["norm"] = array(norm)
            group.add(label, kind, dtype, options, arrays)


# --- schedules ------------------------------------------------------------------------------------

SCHEDULES: list[tuple[str, type, dict[str, Any]]] = [
    ("step", lr_scheduler.StepLR, {"step_size": 30, "gamma": 0.1}),
    ("step", lr_scheduler.StepLR, {"step_size": 7, "gamma": 0.5}),
    ("exponential", lr_scheduler.ExponentialLR, {"gamma": 0.95}),
    ("cosine", lr_scheduler.CosineAnnealingLR, {"T_max": 100, "eta_min": 0.0}),
    ("cosine", lr_scheduler.CosineAnnealingLR, {"T_max": 99, "eta_min": 0.001}),
    ("linear", lr_scheduler.LinearLR, {"start_factor": 0.1, "end_factor": 1.0, "total_iters": 20}),
    ("linear", lr_scheduler.LinearLR, {"start_factor": 1.0, "end_factor": 0.2, "total_iters": 50}),
    *(
        ("one_cycle", lr_scheduler.OneCycleLR, {"max_lr": 0.5, "total_steps": 100, **more})
        for more in (
            {"anneal_strategy": "cos", "cycle_momentum": False},
            {"anneal_strategy": "linear", "cycle_momentum": False},
            {
                "anneal_strategy": "cos",
                "pct_start": 0.45,
                "div_factor": 10.0,
                "final_div_factor": 100.0,
                "cycle_momentum": True,
            },
        )
    ),
    *(
        ("plateau", lr_scheduler.ReduceLROnPlateau, more)
        for more in (
            {"mode": "min"},
            {"mode": "min", "factor": 0.5, "patience": 3, "cooldown": 4, "min_lr": 0.004},
            {"mode": "min", "factor": 0.5, "patience": 2, "threshold": 0.05},
            {"mode": "min", "patience": 2, "threshold": 0.05, "threshold_mode": "abs"},
            {"mode": "max", "factor": 0.3, "patience": 4},
        )
    ),
]


def schedules(group: Group) -> None:
    t = np.arange(STEPS)
    metrics = np.exp(-t / 15) + 0.2 + 0.05 * normal("metrics", STEPS) * (t > 20)
    for kind, schedule, options in SCHEDULES:
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9)
        scheduler = schedule(optimizer, **options)
        rates, momenta = [], []
        for metric in metrics:
            rates.append(optimizer.param_groups[0]["lr"])
            momenta.append(optimizer.param_groups[0]["momentum"])
            optimizer.step()
            scheduler.step(*[metric] if kind == "plateau" else [])
        arrays = {"lr": np.array(rates)}
        if kind == "plateau":
            arrays["metrics"] = metrics
        if options.get("cycle_momentum"):
            arrays["momentum"] = np.array(momenta)
        name = "-".join([kind, *(f"{k}={v}" for k, v in options.items())])
        group.add(name, kind, "float64", {"lr": 0.1, **options}, arrays)


# --------------------------------------------------------------------------------------------------


def operations(group: Group) -> None:
    activations(group)
    elementwise(group)
    reductions(group)
    shapes_and_products(group)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for fill in (operations, layers, losses, optimizers, clipping, schedules):
        file = Group()
        fill(file)
        file.save(fill.__name__)
