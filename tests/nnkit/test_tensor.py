"""Tensors and their graph: each promise of the library, once."""

import contextlib
import copy
import gc
import operator
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnkit as nn
from nnkit.errors import GraphError, ShapeError
from nnkit.tensor import Parameter, Tensor, no_grad


def leaf(*values, dtype=None) -> Tensor:
    return Tensor(list(values), requires_grad=True, dtype=dtype)


class TestGradients:
    def test_of_a_diamond(self):
        """One tensor used on two ways that meet again: both ways count, each node once."""
        x = leaf(3.0)
        left, right = x * 2, x * x
        (left * right).sum().backward()  # 2x³
        np.testing.assert_allclose(x.grad, [6 * 9])

    def test_of_many_diamonds_in_a_row_take_one_walk(self):
        """2⁵⁰ ways lead from the end to the start; a walk of each would not end."""
        x = y = leaf(1.0, dtype=np.float64)
        for _ in range(50):
            y = y + y
        y.sum().backward()
        np.testing.assert_array_equal(x.grad, [2.0**50])

    def test_of_reuse(self):
        x = leaf(2.0)
        (x * x * x + x).sum().backward()
        np.testing.assert_allclose(x.grad, [13])

    def test_of_one_tensor_as_both_operands(self):
        x = leaf(4.0)
        (x / x + (x - x) + x**x).sum().backward()
        np.testing.assert_allclose(x.grad, [4**4 * (1 + np.log(4))], rtol=1e-6)

    def test_of_ways_of_different_length(self):
        """The long way's share must have arrived before the short way's node is walked."""
        x = leaf(1.0)
        y = x * 2
        long = y
        for _ in range(5):
            long = long * 3
        (long + y).sum().backward()
        np.testing.assert_allclose(x.grad, [2 * (3**5 + 1)])

    def test_of_broadcasting_are_summed_back(self):
        row, column = leaf(1.0, 2.0, 3.0), Tensor([[1.0], [10.0]], requires_grad=True)
        (row * column).sum().backward()
        np.testing.assert_array_equal(row.grad, [11, 11, 11])
        np.testing.assert_array_equal(column.grad, [[6], [6]])

    def test_accumulate_over_calls(self):
        x = leaf(1.0)
        for _ in range(3):
            (x * 2).sum().backward()
        np.testing.assert_array_equal(x.grad, [6])
        x.grad = None
        (x * 2).sum().backward()
        np.testing.assert_array_equal(x.grad, [2])

    def test_reach_only_what_asked_for_them(self):
        x, constant = leaf(1.0), Tensor([2.0])
        y = x * constant
        y.sum().backward()
        assert constant.grad is None
        assert y.grad is None

    def test_of_a_tensor_in_the_middle_are_kept_on_request(self):
        x = leaf(1.0, 2.0)
        y = x * 3
        y.retain_grad()
        (y * y).sum().backward()
        np.testing.assert_array_equal(y.grad, [6, 12])
        np.testing.assert_array_equal(x.grad, [18, 36])
        y.grad[...] = 0
        np.testing.assert_array_equal(x.grad, [18, 36])

    def test_of_a_leaf_itself(self):
        x, start = leaf(1.0, 2.0), np.array([3.0, 4.0])
        x.backward(start)
        np.testing.assert_array_equal(x.grad, start)
        assert not np.shares_memory(x.grad, start)

    def test_of_a_tensor_frozen_later_are_left_out(self):
        x, y = leaf(1.0), leaf(2.0)
        z = x * y
        x.requires_grad = False
        z.sum().backward()
        assert x.grad is None
        np.testing.assert_array_equal(y.grad, [1])

    def test_cannot_be_switched_off_in_the_middle_of_a_graph(self):
        x = leaf(1.0, 2.0)
        y = x * 2
        y.requires_grad = True  # which it is
        with pytest.raises(GraphError, match=r"only leaves .* use detach"):
            y.requires_grad = False
        y.sum().backward()
        np.testing.assert_array_equal(x.grad, [2, 2])

    def test_meet_in_the_dtype_of_each_side(self):
        """float32 and float64 in one operation: each leaf's gradient has the leaf's dtype."""
        x, y = leaf(1.0), leaf(2.0, dtype=np.float64)
        z = x * y + y
        assert z.dtype == np.float64
        z.sum().backward()
        assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(0), st.integers(0)), max_size=12))
    def test_of_any_graph_equal_forward_mode(self, recipe):
        """Graphs of sums, products and tanh, against derivatives carried forward as pairs."""
        x = Tensor([0.3, -0.7], requires_grad=True, dtype=np.float64)
        tensors, pairs = [x], [(x.data, np.ones(2))]
        for kind, i, j in recipe:
            a, b = tensors[i % len(tensors)], tensors[j % len(tensors)]
            (u, du), (v, dv) = pairs[i % len(pairs)], pairs[j % len(pairs)]
            if kind == 0:
                tensors.append(a + b * 0.5)
                pairs.append((u + v * 0.5, du + dv * 0.5))
            elif kind == 1:
                tensors.append(a * b)
                pairs.append((u * v, du * v + u * dv))
            else:
                tensors.append(a.tanh())
                pairs.append((np.tanh(u), du * (1 - np.tanh(u) ** 2)))
        tensors[-1].backward(np.ones(2))
        np.testing.assert_allclose(x.grad, pairs[-1][1], rtol=1e-12, atol=1e-14)


class TestDepth:
    def test_ten_thousand_operations_deep(self):
        """Forward, backward and deletion, with hardly any room on Python's stack."""
        x = leaf(1.0)
        limit = sys.getrecursionlimit()
        depth = len([None for _ in iter_frames()])
        sys.setrecursionlimit(depth + 60)
        try:
            y = x
            for _ in range(10_000):
                y = y + 1
            y.sum().backward()
            np.testing.assert_array_equal(x.grad, [1])
            for _ in range(10_000):
                y = y + x
            del y
        finally:
            sys.setrecursionlimit(limit)

    def test_deleting_a_deep_graph_that_was_never_walked(self):
        """A hundred thousand nodes go at once, without the collector of cycles."""
        x = leaf(1.0)
        y = x
        for _ in range(100_000):
            y = y * 1
        first = weakref.ref(y)
        gc.disable()
        try:
            del y
            assert first() is None
            assert sys.getrefcount(x) == 2
        finally:
            gc.enable()


def iter_frames():
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


class TestGraph:
    def test_is_freed_by_backward_and_says_so(self):
        x = leaf(1.0)
        y = (x * x).sum()
        y.backward()
        with pytest.raises(GraphError, match="retain_graph=True"):
            y.backward()
        np.testing.assert_array_equal(x.grad, [2])

    def test_can_be_retained(self):
        x = leaf(1.0)
        y = (x * x).sum()
        y.backward(retain_graph=True)
        y.backward()
        np.testing.assert_array_equal(x.grad, [4])
        with pytest.raises(GraphError):
            y.backward()

    def test_that_was_freed_in_part_gives_no_gradient_at_all(self):
        x, w = leaf(1.0), leaf(5.0)
        shared = x * x
        shared.sum().backward()
        with pytest.raises(GraphError, match="freed"):
            (shared * w).sum().backward()
        assert w.grad is None
        np.testing.assert_array_equal(x.grad, [2])

    def test_needs_a_tensor_that_requires_a_gradient(self):
        with pytest.raises(GraphError, match="requires_grad=True"):
            (Tensor([1.0]) * 2).sum().backward()

    def test_does_not_grow_under_no_grad(self):
        x = leaf(1.0)
        with no_grad():
            with no_grad():
                assert (x * 2).is_leaf
            y = x * 2
        assert not y.requires_grad
        assert (x * 2).requires_grad
        with pytest.raises(GraphError, match="no_grad"):
            y.sum().backward()

    def test_grows_again_after_an_error_under_no_grad(self):
        with contextlib.suppress(KeyError), no_grad():
            raise KeyError
        assert (leaf(1.0) * 2).requires_grad

    def test_no_grad_in_one_thread_is_not_felt_in_another(self):
        seen = []
        with no_grad():
            thread = threading.Thread(target=lambda: seen.append((leaf(1.0) * 2).requires_grad))
            thread.start()
            thread.join()
        assert seen == [True]

    def test_ends_at_detach(self):
        x = leaf(2.0)
        y = x * 3
        cut = y.detach()
        assert not cut.requires_grad
        assert cut.is_leaf
        np.testing.assert_array_equal(cut.data, [6])
        (cut * x).sum().backward()
        np.testing.assert_array_equal(x.grad, [6])

    def test_keeps_no_cycles(self):
        x = leaf(1.0)
        middle = x * x
        y = nn.tanh(middle)
        watched = [weakref.ref(thing) for thing in (y, y.data, middle, middle.data)]
        gc.disable()
        try:
            del y, middle
            assert [ref() for ref in watched] == [None] * 4
        finally:
            gc.enable()

    def test_backward_of_many_numbers_needs_a_gradient_to_start_from(self):
        x = leaf(1.0, 2.0)
        with pytest.raises(ShapeError, match=r"\(2,\).*pass grad"):
            (x * 1).backward()
        with pytest.raises(ShapeError, match=r"\(2,\), got \(3,\)"):
            (x * 1).backward(np.ones(3))
        assert x.grad is None


def by_assignment(model, optimizer):
    model.weight.data = np.ones((1, 2))


def in_place(model, optimizer):
    model.weight.data -= 1.0


def by_the_optimizer(model, optimizer):
    model.weight.grad = np.ones((1, 2))
    optimizer.step()


def by_update_weights(model, optimizer):
    model.weight.grad = np.ones((1, 2))
    model.update_weights(0.1)


def by_loading(model, optimizer):
    model.load_state_dict(model.state_dict())


def by_resetting(model, optimizer):
    model.reset_parameters()


class TestChangedParameters:
    @pytest.mark.parametrize(
        "change",
        [by_assignment, in_place, by_the_optimizer, by_update_weights, by_loading, by_resetting],
    )
    def test_between_forward_and_backward_are_reported(self, change):
        model = nn.Linear(2, 1)
        optimizer = nn.SGD(model.parameters(), lr=0.1)
        loss = model(np.ones((3, 2))).sum()
        change(model, optimizer)
        model.zero_grad()
        with pytest.raises(
            GraphError, match=r"weight of shape \(1, 2\) was changed after the forw"
        ):
            loss.backward()
        assert model.bias.grad is None

    def test_between_forward_and_manual_backward_are_reported(self):
        model = nn.Linear(2, 1)
        model(np.ones((3, 2)))
        model.weight.data *= 2
        with pytest.raises(GraphError, match="changed after the forward pass"):
            model.backward(np.ones((3, 1)))

    def test_a_result_that_was_changed_is_reported(self):
        x = Tensor([0.5], requires_grad=True)
        y = x.tanh()  # whose rule looks at its result
        y.data = [0.0]
        with pytest.raises(GraphError, match="changed after the forward pass"):
            y.backward()

    def test_the_changed_one_is_named(self):
        one, other = Parameter([1.0], name="one"), Parameter([2.0], name="other")
        for _ in range(3):
            one.data = [3.0]
        product = (one * other).sum()
        other.data = [5.0]
        with pytest.raises(GraphError, match=r"^other of shape"):
            product.backward()

    def test_after_backward_are_fine(self):
        model = nn.Linear(2, 1)
        for _ in range(2):
            model(np.ones((3, 2))).sum().backward()
            model.weight.data -= 0.1 * model.weight.grad


class TestDtype:
    @pytest.mark.parametrize(
        "data",
        [1, 2.5, True, [1, 2], [[1.5]], (1, 2), np.arange(3), np.float32([1]), np.array([True])],
        ids=str,
    )
    def test_is_float32_for_everything_that_is_not_float64(self, data):
        tensor = Tensor(data)
        assert tensor.dtype == np.float32
        np.testing.assert_array_equal(tensor.data, np.asarray(data, np.float32))

    def test_float64_arrays_and_scalars_keep_theirs(self):
        assert Tensor(np.ones(2)).dtype == np.float64
        assert Tensor(np.float64(2)).dtype == np.float64
        assert Tensor([1.0], dtype=np.float64).dtype == np.float64
        assert Tensor(np.ones(2), dtype=np.float32).dtype == np.float32

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize(
        "other",
        [2, 2.0, True, [2.0], np.float32(2), np.float64(2), np.int64(2), np.array([2]), np.ones(1)],
        ids=repr,
    )
    def test_is_kept_beside_plain_numbers_and_arrays(self, dtype, other):
        x = leaf(4.0, dtype=dtype)
        for result in (
            x + other, x - other, x * other, x / other, x**other,
            other + x, other - x, other * x, other / x, other**x,
        ):  # fmt: skip
            assert isinstance(result, Tensor)
            assert result.dtype == dtype
            x.grad = None
            result.sum().backward()
            assert x.grad.dtype == dtype

    def test_must_be_a_floating_one(self):
        for dtype in (np.int32, bool, complex, np.float16):
            with pytest.raises(ShapeError, match="float32 or float64"):
                Tensor([1.0], dtype=dtype)
            with pytest.raises(ShapeError, match="float32 or float64"):
                leaf(1.0).astype(dtype)

    @pytest.mark.parametrize(
        "data", ["text", None, 1j, [[1], [1, 2]], [object()], {"a": 1}], ids=str
    )
    def test_what_is_no_number_is_refused(self, data):
        with pytest.raises(ShapeError, match=r"real numbers|rows of equal length"):
            Tensor(data)

    def test_gradients_take_the_dtype_of_their_tensor(self):
        x = leaf(1.0)
        x.grad = np.array([2.0])
        assert x.grad.dtype == np.float32
        (x * 2).backward(np.array([1.0]))
        assert x.grad.dtype == np.float32
        with pytest.raises(ShapeError, match=r"\(1,\).*\(2,\)"):
            x.grad = np.ones(2)


class TestData:
    def test_assignment_changes_values_in_place(self):
        x = Tensor(np.zeros((2, 2), np.float32))
        before = x.data
        x.data = [[1, 2], [3, 4]]
        assert x.data is before
        np.testing.assert_array_equal(before, [[1, 2], [3, 4]])
        assert x.dtype == np.float32

    @pytest.mark.parametrize("shape", [(2,), (1, 2), (2, 2, 1), ()])
    def test_assignment_of_another_shape_is_refused(self, shape):
        x = Tensor(np.zeros((2, 2)), name="weight")
        with pytest.raises(ShapeError, match=r"weight has shape \(2, 2\)"):
            x.data = np.ones(shape)
        np.testing.assert_array_equal(x.data, np.zeros((2, 2)))

    def test_items_cannot_be_assigned_and_the_error_says_what_to_do(self):
        x = leaf(1.0, 2.0)
        with pytest.raises(TypeError, match=r"where\(mask, new, old\)"):
            x[0] = 5.0
        with pytest.raises(TypeError, match="do not take item assignment"):
            x[0] += 5.0
        np.testing.assert_array_equal(x.data, [1, 2])

    def test_item_len_iteration_bool_float(self):
        x = leaf(1.0, 2.0)
        assert [float(part) for part in x] == [1.0, 2.0]
        assert len(x) == 2
        assert x[1].item() == 2.0
        assert type(x[1].item()) is float
        assert x.tolist() == [1.0, 2.0]
        assert bool(x[0])
        assert not bool(Tensor(0.0))
        with pytest.raises(ShapeError, match=r"one element; this one has \(2,\)"):
            x.item()
        with pytest.raises(ShapeError, match="one element"):
            bool(x)
        with pytest.raises(TypeError, match="0-d"):
            len(Tensor(1.0))
        with pytest.raises(IndexError):
            x[2]

    def test_iteration_is_differentiable(self):
        x = leaf(1.0, 2.0, 3.0)
        first, second, third = x
        (first * second * third).backward()
        np.testing.assert_array_equal(x.grad, [6, 3, 2])

    def test_copies_and_pickles(self):
        x = Parameter([1.0, 2.0], name="w")
        x.grad = np.ones(2)
        for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert type(other) is Parameter
            np.testing.assert_array_equal(other.data, x.data)
            other.data = [5, 5]
            np.testing.assert_array_equal(x.data, [1, 2])


class TestText:
    @pytest.mark.parametrize(
        "make, text",
        [
            (lambda: Tensor([1.0, 2.5]), "Tensor([1. , 2.5])"),
            (lambda: leaf(1.0), "Tensor([1.], requires_grad=True)"),
            (lambda: leaf(1.0) * 2, "Tensor([2.], from=multiply)"),
            (lambda: Tensor(np.ones(1)), "Tensor([1.], dtype=float64)"),
            (lambda: Parameter([1.0]), "Parameter([1.], requires_grad=True)"),
            (lambda: Tensor(3.0), "Tensor(3.)"),
            (lambda: nn.log_softmax(leaf(1.0)), "Tensor([0.], from=log_softmax)"),
            (lambda: Tensor([[1.0, 2.0], [3.0, 4.0]]), "Tensor([[1., 2.],\n        [3., 4.]])"),
        ],
    )
    def test_repr_shows_values_and_where_they_came_from(self, make, text):
        assert repr(make()) == text

    def test_repr_of_much_is_short(self):
        assert len(repr(Tensor(np.zeros((1000, 1000))))) < 1000

    def test_format(self):
        loss = (leaf(1.0) * 1.23456).sum()
        assert f"{loss:.4f}" == "1.2346"
        assert f"{Tensor([[0.5]]):.0%}" == "50%"
        assert f"{loss:>8.2f}" == "    1.23"
        assert f"{Tensor([1.0, 2.0])}" == "Tensor([1., 2.])"


class TestNumPy:
    def test_sees_the_values(self):
        x = leaf(1.0, 2.0)
        for array in (np.asarray(x), np.array(x), x.numpy(), x.data):
            assert type(array) is np.ndarray
            np.testing.assert_array_equal(array, [1, 2])
        assert np.shares_memory(x.numpy(), x.data)
        assert not np.shares_memory(np.array(x), x.data)
        assert np.asarray(x, np.float64).dtype == np.float64

    @pytest.mark.parametrize(
        "result, expected",
        [
            (lambda x: np.mean(x), 1.5),
            (lambda x: np.exp(x), np.exp(np.float32([1, 2]))),
            (lambda x: np.stack([x, x]), [[1, 2], [1, 2]]),
            (lambda x: np.concatenate([x, x]), [1, 2, 1, 2]),
            (lambda x: np.allclose(x, [1, 2]), True),
            (lambda x: np.where(x > 1, x, 0), [0, 2]),
            (lambda x: np.argmax(x), 1),
            (lambda x: np.array([1, 2])[np.asarray(x) > 1], [2]),
        ],
    )
    def test_functions_give_plain_arrays(self, result, expected):
        value = result(leaf(1.0, 2.0))
        assert not isinstance(value, Tensor)
        np.testing.assert_array_equal(value, expected)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
    def test_an_array_on_the_left_gives_one_tensor(self, dtype):
        """Not an array of tensors, and with the gradient."""
        array, x = np.array([1, 1]).astype(dtype), leaf(2.0, 4.0)
        for result, expected in (
            (array + x, [3, 5]),
            (array - x, [-1, -3]),
            (array * x, [2, 4]),
            (array / x, [0.5, 0.25]),
            (array @ x, 6),
            (array**x, [1, 1]),
        ):
            assert isinstance(result, Tensor)
            assert result.requires_grad
            np.testing.assert_array_equal(result.data, expected)
        (array @ x).backward()
        np.testing.assert_array_equal(x.grad, [1, 1])

    def test_comparisons_are_boolean_arrays(self):
        x = leaf(1.0, 2.0)
        for result, expected in (
            (x > 1, [False, True]),
            (x >= Tensor([1.0, 3.0]), [True, False]),
            (x < np.array([2, 2]), [True, False]),
            (x <= 1, [True, False]),
            (x == 2, [False, True]),
            (x != x, [False, False]),
        ):
            assert type(result) is np.ndarray
            np.testing.assert_array_equal(result, expected)

    def test_tensors_are_keys_by_identity(self):
        a, b = leaf(1.0), leaf(1.0)
        assert {a: "a", b: "b"}[a] == "a"
        assert len({a, b, a}) == 2

    def test_indices_may_be_tensors_arrays_lists_and_masks(self):
        x = leaf(10.0, 20.0, 30.0)
        for index in (Tensor([0, 2]), np.array([0, 2]), [0, 2], x.data != 20, [True, False, True]):
            np.testing.assert_array_equal(x[index].data, [10, 30])
        np.testing.assert_array_equal(x[1:].data, [20, 30])
        np.testing.assert_array_equal(x[..., None, -1].data, [30])


ZERO_DIMENSIONAL = {
    "arithmetic": lambda x: ((2 - x) * 3 + x / 4 - -x) / (x + 2),
    "power": lambda x: x**2 + x**0.5 + 2**x + x**x,
    "functions": lambda x: x.exp() + x.log() + x.sqrt() + abs(x) + x.tanh() + x.clip(0, 2),
    "reductions": lambda x: x.sum() + x.mean() + x.max() + x.min() + x.sum(keepdims=True),
    "shapes": lambda x: x.reshape(1, 1).T.reshape(()) + x[()] + x[None][0] + x.flatten()[0],
    "joining": lambda x: nn.stack([x, x]).sum() + nn.concatenate([x[None], x[None]]).sum(),
    "choosing": lambda x: nn.maximum(x, 0.1) * nn.minimum(2, x) + nn.where(x > 0, x, -x),
    "activations": lambda x: (
        nn.relu(x) + nn.leaky_relu(x) + nn.gelu(x) + nn.gelu(x, "tanh") + nn.sigmoid(x)
        + nn.tanh(x) + nn.silu(x) + nn.elu(x) + nn.softplus(x) + nn.sine(x) + nn.identity(x)
    ),
    "losses": lambda x: (
        nn.mse_loss(x, 1.0) + nn.l1_loss(x, 1.0) + nn.huber_loss(x, 1.0)
        + nn.hinge_loss(x, 1.0) + nn.binary_cross_entropy_loss(x, 1.0)
        + nn.binary_cross_entropy_with_logits(x, 1.0)
    ),
    "beside arrays": lambda x: (
        (np.ones((2, 1)) * x + x * np.ones(3)).mean() / (x + np.ones(1)).sum()
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ZERO_DIMENSIONAL)
def test_zero_dimensional_tensors_pass_through_every_operation(name):
    function = ZERO_DIMENSIONAL[name]
    for dtype, step, close in ((np.float32, 1e-2, 1e-2), (np.float64, 1e-6, 1e-8)):
        x = Tensor(0.5, requires_grad=True, dtype=dtype)
        y = function(x)
        assert type(y.data) is np.ndarray
        assert (y.shape, y.dtype) == ((), dtype)
        y.backward()
        assert (type(x.grad), x.grad.shape, x.grad.dtype) == (np.ndarray, (), dtype)
        up, down = (function(Tensor(0.5 + s, dtype=dtype)).item() for s in (step, -step))
        np.testing.assert_allclose(x.grad, (up - down) / (2 * step), rtol=close)


@pytest.mark.parametrize(
    "wrong, names",
    [
        (lambda: leaf(1.0, 2.0) + leaf(1.0, 2.0, 3.0), [r"add", r"\(2,\)", r"\(3,\)"]),
        (lambda: leaf(1.0, 2.0) @ np.ones((3, 4)), [r"matmul", r"\(2,\)", r"\(3, 4\)"]),
        (lambda: leaf(1.0, 2.0).reshape(3), [r"reshape", r"\(2,\)", r"\(3,\)"]),
        (lambda: leaf(1.0, 2.0).sum(axis=1), [r"sum", r"\(2,\)", "axis 1"]),
        (lambda: leaf(1.0).transpose(1, 0), [r"transpose", r"\(1,\)"]),
        (lambda: nn.concatenate([leaf(1.0), [[1.0]]]), ["concatenate", r"\(1,\)", r"\(1, 1\)"]),
        (lambda: nn.stack([leaf(1.0), [[1.0]]]), ["stack", r"\(1,\)", r"\(1, 1\)"]),
        (lambda: nn.softmax(leaf(1.0), axis=3), ["softmax", r"\(1,\)", "axis 3"]),
        (lambda: nn.Linear(3, 2)(np.ones((4, 5))), [r"\(examples, 3\)", r"\(4, 5\)"]),
    ],
)
def test_errors_name_the_operation_and_the_shapes(wrong, names):
    with pytest.raises(ShapeError) as caught:
        wrong()
    for name in names:
        assert caught.match(name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "function",
    [
        nn.relu, nn.leaky_relu, nn.gelu, nn.sigmoid, nn.tanh, nn.softmax, nn.log_softmax, nn.silu,
        nn.elu, nn.softplus, nn.sine, nn.identity, lambda x: nn.gelu(x, "tanh"),
    ],
)  # fmt: skip
def test_activations_and_their_gradients_are_finite_at_ten_thousand(function, dtype):
    x = leaf(-1e4, -100.0, 0.0, 100.0, 1e4, dtype=dtype)
    with np.errstate(over="ignore"):
        y = function(x)
        (y * [1.0, -2.0, 3.0, -4.0, 5.0]).sum().backward()
    assert np.isfinite(y.data).all()
    assert np.isfinite(x.grad).all()


def test_nan_is_passed_on_and_not_hidden():
    x = leaf(float("nan"), 1.0)
    for function in (nn.relu, nn.leaky_relu, nn.elu, nn.gelu, nn.softplus, nn.sigmoid, nn.tanh):
        y = function(x)
        assert np.isnan(y.data[0]), function.__name__
        assert np.isfinite(y.data[1]), function.__name__


class TestInPlace:
    @pytest.mark.parametrize("kind", [Parameter, leaf])
    def test_changes_of_leaves_are_made_without_a_graph(self, kind):
        p = kind([1.0, 2.0]) if kind is Parameter else leaf(1.0, 2.0)
        same, values = p, p.data
        (p * p).sum().backward()
        with no_grad():
            p -= 0.5 * p.grad
            p += 1.0
            p *= 4.0
            p /= 2.0
        assert p is same and p.data is values and p.requires_grad
        np.testing.assert_array_equal(p.data, [2, 2])

    def test_changes_of_leaves_are_refused_in_a_graph(self):
        layer = nn.Linear(2, 1)
        for change in (operator.iadd, operator.isub, operator.imul, operator.itruediv):
            with pytest.raises(GraphError, match=r"weight requires a gradient.*no_grad"):
                change(layer.weight, 2.0)

    def test_totals_grow_a_graph(self):
        x = leaf(1.0, 2.0)
        total = Tensor(0.0)
        for i in range(3):
            total += (x * i).sum()
        total.backward()
        np.testing.assert_array_equal(x.grad, [3, 3])

    def test_a_change_between_forward_and_backward_is_noticed(self):
        p, x = leaf(1.0, 2.0), leaf(3.0, 4.0)
        y = (p * x).sum()
        with no_grad():
            p -= 1.0
        with pytest.raises(GraphError, match="was changed after the forward pass"):
            y.backward()


def test_one_no_grad_serves_again_and_in_threads():
    x, off = leaf(1.0), no_grad()
    for _ in range(2):
        with off, off:
            assert not (x * 2).requires_grad
        assert (x * 2).requires_grad

    @no_grad()
    def doubled():
        return x * 2

    found = []
    threads = [threading.Thread(target=lambda: found.append(doubled())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [y.requires_grad for y in found] == [False] * 4


def test_a_copy_of_a_result_is_a_leaf():
    y = x = leaf(1.0, 2.0)
    for _ in range(5000):  # deeper than Python recurses
        y = y + x
    for other in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        assert other.is_leaf and other.requires_grad
        np.testing.assert_array_equal(other.data, y.data)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [5001, 5001])


def test_the_gradient_of_a_number_stays_an_array():
    x = Tensor(2.0, requires_grad=True)
    for _ in range(2):
        (x * x).backward()
    assert isinstance(x.grad, np.ndarray)
    assert x.grad == 8


def test_float64_of_another_order_of_bytes_keeps_its_precision():
    x = Tensor(np.array([1 / 3], ">f8"))
    assert x.dtype == np.float64
    assert x.data.dtype.isnative
    assert x.item() == 1 / 3


def test_an_index_is_of_whole_numbers():
    x = leaf(1.0, 2.0, 3.0)
    np.testing.assert_array_equal(x[Tensor([2, 0])].data, [3, 1])
    with pytest.raises(ShapeError, match="whole numbers"):
        x[Tensor([0.5])]


def test_numbers_are_what_python_expects():
    x = Tensor(2.7)
    assert int(x) == 2
    assert +x is x
    np.testing.assert_array_equal(Tensor(np.ones((2, 3))).sum(axis=[0, 1]).data, 6)


def test_the_power_zero_is_flat_at_zero_too():
    x = leaf(0.0, 2.0)
    (x.reshape(2, 1) ** np.arange(3.0)).sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 5])


def test_copies_have_numpys_own_dtypes_by_which_the_fast_ways_are_found():
    model = nn.Sequential(nn.Linear(2, 3, "tanh"), nn.BatchNorm(3))
    optimizer = nn.Adam(model.parameters())
    model, optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    known = np.dtype(np.float32)
    assert all(p.data.dtype is known for p in model.parameters())
    assert optimizer.flat.dtype is known
    data = pickle.loads(pickle.dumps(np.ones(3, np.float32)))
    tensor = nn.Tensor(data)
    assert tensor.data.dtype is known and np.shares_memory(tensor.data, data)
