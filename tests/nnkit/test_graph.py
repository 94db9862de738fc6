"""The graph as plain data: what stands in it, and that reading changes nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nnkit import MSE, Linear, Sequential, Tanh, Tensor, concatenate, no_grad
from nnkit.errors import GraphError, ShapeError
from nnkit.graph import read_graph


def test_a_diamond_has_its_nodes_edges_and_gradients() -> None:
    x = Tensor(3.0, requires_grad=True, name="x")
    left, right = x * x, x.exp()
    graph = read_graph(left + right)
    assert [node.operation for node in graph.nodes] == ["", "multiply", "exp", "add"]
    assert [(e.source, e.target, e.position) for e in graph.edges] == [
        (0, 1, 0),
        (0, 1, 1),
        (0, 2, 0),
        (1, 3, 0),
        (2, 3, 1),
    ]
    assert graph.output.value == pytest.approx(9 + np.exp(3))
    assert graph.nodes[0].gradient == pytest.approx(6 + np.exp(3))
    assert [edge.target for edge in graph.out_of(graph.nodes[0])] == [1, 1, 2]
    assert [edge.source for edge in graph.into(graph.output)] == [1, 2]


def test_what_the_edges_send_adds_up_to_the_node() -> None:
    x = Tensor(np.arange(3.0), requires_grad=True)
    b = Tensor(0.5, requires_grad=True)
    graph = read_graph(((x * b + x) * x).sum())
    for node in graph.nodes[:-1]:
        parts = [edge.gradient for edge in graph.out_of(node) if edge.gradient is not None]
        np.testing.assert_allclose(sum(parts), node.gradient)
        assert all(part.shape == node.shape for part in parts)


def test_gradients_are_those_of_backward_and_nothing_changes() -> None:
    model = Sequential(Linear(2, 3, generator=np.random.default_rng(0)), Tanh(), Linear(3, 1))
    x = Tensor(np.ones((4, 2)), requires_grad=True)
    loss = MSE()(model(x), np.zeros((4, 1)))
    names = dict(model.named_parameters())
    graph = read_graph(loss, names=names | {"data": x})
    assert x.grad is None and all(p.grad is None for p in model.parameters())
    loss.backward()
    found = {node.name: node for node in graph.nodes if not node.operation}
    for name, parameter in names.items():
        assert found[name].kind == "parameter"
        np.testing.assert_array_equal(found[name].gradient, parameter.grad)
    assert found["data"].kind == "input"
    np.testing.assert_array_equal(found["data"].gradient, x.grad)


def test_values_and_gradients_are_copies() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    graph = read_graph((x + 0.0).sum())
    for node in graph.nodes:
        node.value[...] = -1
        if node.gradient is not None:
            node.gradient[...] = -1
    assert x.tolist() == [1.0, 2.0]
    again = read_graph((x + 0.0).sum())
    assert again.nodes[0].gradient is not None
    assert again.nodes[0].gradient.tolist() == [1.0, 1.0]


def test_constants_have_no_gradient_and_operations_tell_their_rule_and_settings() -> None:
    x = Tensor([2.0], requires_grad=True)
    graph = read_graph((x**3 * Tensor([5.0])).sum(axis=0))
    kinds = {node.name or node.kind: node for node in graph.nodes}
    assert kinds["constant"].gradient is None
    assert kinds["power"].settings == {"exponent": 3}
    assert kinds["power"].rule == "d(xᵖ) = p·xᵖ⁻¹·dx"
    assert kinds["sum"].settings == {"axis": 0, "keepdims": False}


def test_settings_of_an_operation_are_plain_and_its_own() -> None:
    graph = read_graph(Linear(2, 3)(np.ones((4, 2))).sum())
    assert [n.settings for n in graph.nodes if n.operation == "linear"] == [{}]


def test_more_than_one_output_needs_a_gradient_to_start_from() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    assert all(node.gradient is None for node in read_graph(y).nodes)
    graph = read_graph(y, [1.0, 10.0])
    assert graph.nodes[0].gradient is not None
    assert graph.nodes[0].gradient.tolist() == [3.0, 30.0]
    with pytest.raises(ShapeError, match=re.escape("(2,)")):
        read_graph(y, [1.0])


def test_a_leaf_and_a_tensor_without_graph_are_graphs_of_one_node() -> None:
    x = Tensor(2.0, requires_grad=True)
    (node,) = read_graph(x).nodes
    assert (node.kind, node.gradient) == ("input", 1.0)
    with no_grad():
        (node,) = read_graph(x * 2).nodes
    assert (node.kind, node.gradient) == ("constant", None)


def test_a_freed_graph_is_refused_with_the_remedy() -> None:
    x = Tensor(2.0, requires_grad=True)
    y = x * x
    y.backward(retain_graph=True)
    assert len(read_graph(y).nodes) == 2
    y.backward()
    with pytest.raises(GraphError, match="retain_graph"):
        read_graph(y)


def test_a_changed_parameter_is_refused_where_gradients_are_wanted() -> None:
    x = Tensor(2.0, requires_grad=True)
    y = x * x
    x.data = 3.0
    with pytest.raises(GraphError, match="changed"):
        read_graph(y)
    assert len(read_graph(y, gradients=False).nodes) == 2


def test_depth_is_no_limit() -> None:
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(10_000):
        y = y + 1.0
    graph = read_graph(y)
    assert len(graph.nodes) == 20_001
    assert graph.nodes[0].gradient == 1.0


def test_dot_names_every_node_and_escapes_quotes() -> None:
    x = Tensor([[1.0, -2.0]], requires_grad=True, name='the "x"\\')
    empty = Tensor(np.zeros((0, 2)))
    graph = read_graph(concatenate([x, empty]).sum(), names={"nothing": empty})
    dot = graph.to_dot()
    assert r'label="the \"x\"\\\nvalue (1, 2) from -2 to 1\ngradient (1, 2) from 1 to 1"' in dot
    assert r'label="nothing\nvalue (0, 2)"' in dot
    assert dot.count("->") == len(graph.edges) == 3
    assert dot.startswith("digraph {") and dot.endswith("}")
