"""The graph behind a tensor, read back as plain data: for pictures, tables and lessons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .backpropagation import backpropagate
from .errors import GraphError
from .functions.base import Array, Gradients
from .tensor import Parameter, Tensor

__all__ = ["Graph", "GraphEdge", "GraphNode", "read_graph"]


@dataclass(frozen=True, eq=False)
class GraphNode:
    """A tensor of the graph.

    Args:
        id: its place in `Graph.nodes`.
        kind: "parameter", "input" (another leaf that requires a gradient), "constant" or
            "operation".
        name: what the tensor is called, or the operation's name; may be empty for leaves.
        operation: name of the operation that made it; empty for leaves.
        settings: the operation's own numbers, such as an exponent or an axis.
        rule: the operation's backward rule in words and formula; empty for leaves.
        shape: shape of value and gradient.
        value: a copy of its values.
        gradient: d(output)/d(this), None where none was computed.
    """

    id: int
    kind: str
    name: str
    operation: str
    settings: Mapping[str, Any]
    rule: str
    shape: tuple[int, ...]
    value: Array = field(repr=False)
    gradient: Array | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class GraphEdge:
    """One use of a tensor: node `source` is operand number `position` of node `target`.

    `gradient` is the part that this use sends back to the source. A node's gradient is the sum
    over all edges that leave it.
    """

    source: int
    target: int
    position: int
    gradient: Array | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in the order of computation (operands first, the output last) and edges.

    Gradients are computed in the reverse order.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]

    @property
    def output(self) -> GraphNode:
        """The node that the graph was read from."""
        return self.nodes[-1]

    def into(self, node: GraphNode) -> tuple[GraphEdge, ...]:
        """The operands of `node`, in order."""
        return self._by_target.get(node.id, ())

    def out_of(self, node: GraphNode) -> tuple[GraphEdge, ...]:
        """The uses of `node`."""
        return self._by_source.get(node.id, ())

    @cached_property
    def _by_target(self) -> dict[int, tuple[GraphEdge, ...]]:
        return _grouped(self.edges, attrgetter("target"))

    @cached_property
    def _by_source(self) -> dict[int, tuple[GraphEdge, ...]]:
        return _grouped(self.edges, attrgetter("source"))

    def to_dot(self) -> str:
        """The graph in the language of Graphviz: leaves as boxes, operations as ellipses.

        >>> x = Tensor(3.0, requires_grad=True, name="x")
        >>> print(read_graph(x * x).to_dot())
        digraph {
          rankdir=LR;
          n0 [shape=box, label="x\\nvalue 3\\ngradient 6"];
          n1 [shape=ellipse, label="multiply\\nvalue 9\\ngradient 1"];
          n0 -> n1;
          n0 -> n1;
        }
        """
        lines = ["digraph {", "  rankdir=LR;"]
        for node in self.nodes:
            shape = "ellipse" if node.operation else "box"
            text = [node.name or node.kind, f"value {_brief(node.value)}"]
            if node.gradient is not None:
                text.append(f"gradient {_brief(node.gradient)}")
            label = "\\n".join(part.replace("\\", "\\\\").replace('"', '\\"') for part in text)
            lines.append(f'  n{node.id} [shape={shape}, label="{label}"];')
        lines += [f"  n{edge.source} -> n{edge.target};" for edge in self.edges]
        return "\n".join([*lines, "}"])


def _grouped(
    edges: tuple[GraphEdge, ...], end: Callable[[GraphEdge], int]
) -> dict[int, tuple[GraphEdge, ...]]:
    """Edges by the node at one of their ends, in their order."""
    found: dict[int, list[GraphEdge]] = {}
    for edge in edges:
        found.setdefault(end(edge), []).append(edge)
    return {node: tuple(those) for node, those in found.items()}


def read_graph(
    output: Tensor,
    grad: ArrayLike | None = None,
    *,
    names: Mapping[str, Tensor] | None = None,
    gradients: bool = True,
) -> Graph:
    """The graph that led to `output`, with the gradient of `output` at every node.

    Nothing is changed: gradients are computed here, and neither added to `tensor.grad` nor freed.
    Read the graph before `backward()`, or call that with `retain_graph=True`.

    Args:
        grad: the gradient to start from. Where it is left out and `output` has more than one
            element, no gradients are computed.
        names: what to call tensors, for instance `dict(model.named_parameters())`; others keep
            their own `name`.
        gradients: False to read operations and values only.

    Raises:
        GraphError: the graph was freed, or a parameter has been changed since it was made.
        ShapeError: `grad` has another shape than `output`.

    >>> x = Tensor(2.0, requires_grad=True, name="x")
    >>> graph = read_graph(x * x + x)
    >>> [(node.name, float(node.value), float(node.gradient)) for node in graph.nodes]
    [('x', 2.0, 5.0), ('multiply', 4.0, 1.0), ('add', 6.0, 1.0)]
    """
    order = _computation_order(output)
    ids = {id(tensor): i for i, tensor in enumerate(order)}
    found: dict[int, Array] = {}
    sent: dict[tuple[int, int], Array] = {}
    if gradients and output.requires_grad and (grad is not None or output.size == 1):
        found, sent = _walk_back(order, ids, grad)
    called = {id(tensor): name for name, tensor in (names or {}).items()}
    nodes = [
        _describe(i, tensor, called.get(id(tensor), tensor.name), found.get(i))
        for i, tensor in enumerate(order)
    ]
    edges = [
        GraphEdge(ids[id(operand)], target, position, sent.get((target, position)))
        for target, tensor in enumerate(order)
        for position, operand in enumerate(tensor._inputs or ())
    ]
    return Graph(tuple(nodes), tuple(edges))


def _computation_order(output: Tensor) -> list[Tensor]:
    """All tensors that led to `output`, operands before results, first operands first."""
    order: list[Tensor] = []
    seen: set[int] = set()
    stack: list[tuple[Tensor, bool]] = [(output, False)]
    while stack:
        tensor, operands_done = stack.pop()
        if operands_done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            if not tensor.is_leaf:
                if tensor._inputs is None:
                    raise GraphError(
                        "the graph was freed by backward(); read it before, "
                        "or call backward(retain_graph=True)"
                    )
                stack.extend((operand, False) for operand in reversed(tensor._inputs))
    return order


def _walk_back(
    order: list[Tensor], ids: Mapping[int, int], start: ArrayLike | None
) -> tuple[dict[int, Array], dict[tuple[int, int], Array]]:
    """Gradients by node, and what each operation sends to each of its operands."""
    found: dict[int, Array] = {}
    sent: dict[tuple[int, int], Array] = {}

    def visit(result: Tensor, gradient: Array, parts: Gradients) -> None:
        i = ids[id(result)]
        found[i] = np.array(gradient, result.dtype)
        for position, (operand, part) in enumerate(zip(result._inputs or (), parts, strict=True)):
            if part is not None and operand.requires_grad:
                sent[i, position] = np.array(part, operand.dtype)

    leaves = backpropagate(order[-1], start, retain_graph=True, visit=visit)
    for leaf, gradient in leaves.items():
        found[ids[id(leaf)]] = gradient
    return found, sent


def _describe(i: int, tensor: Tensor, name: str, gradient: Array | None) -> GraphNode:
    value = tensor._data.copy()
    function = tensor._function
    if function is None:
        kind = "constant"
        if tensor.requires_grad:
            kind = "parameter" if isinstance(tensor, Parameter) else "input"
        return GraphNode(i, kind, name, "", {}, "", tensor.shape, value, gradient)
    settings = {
        key: setting
        for key, setting in vars(function).items()
        if isinstance(setting, (bool, int, float, str, tuple)) and not key.startswith("_")
    }
    operation = function.name
    return GraphNode(
        i, "operation", name or operation, operation, settings, function.rule, tensor.shape, value,
        gradient,
    )  # fmt: skip


def _brief(array: Array) -> str:
    """One number as it is, more as their shape and range."""
    if array.size == 1:
        return f"{array.reshape(())[()]:.4g}"
    if array.size == 0:
        return f"{array.shape}"
    return f"{array.shape} from {array.min():.4g} to {array.max():.4g}"
