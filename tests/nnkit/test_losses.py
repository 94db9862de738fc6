"""Losses: against PyTorch, at the ends of the number range, and against silent mistakes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import nnkit as nn
from nnkit import functions as F
from nnkit.errors import ConfigError, ShapeError
from nnkit.losses import LOSSES
from nnkit.tensor import Parameter, Tensor, apply
from tests.nnkit.numeric import central_differences
from tests.reference import cases

FUNCTIONS = {
    "mse": nn.mse_loss,
    "l1": nn.l1_loss,
    "huber": nn.huber_loss,
    "hinge": nn.hinge_loss,
    "bce": nn.binary_cross_entropy_loss,
    "bce_with_logits": nn.binary_cross_entropy_with_logits,
    "cross_entropy": nn.cross_entropy_loss,
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def close(actual, expected: np.ndarray) -> None:
    """To 1e-6 relative in float32, 1e-12 in float64."""
    actual = np.asarray(actual)
    assert actual.dtype == expected.dtype
    tight = 1e-6 if expected.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tight, atol=tight)


def example(name: str, dtype=np.float64, n: int = 5):
    """A prediction and a target that suit the loss."""
    rng = np.random.default_rng(2)
    if name == "cross_entropy":
        return rng.normal(size=(n, 3)).astype(dtype), rng.integers(0, 3, n)
    target = rng.integers(0, 2, (n, 2))
    if name == "hinge":
        target = 2 * target - 1
    prediction = rng.uniform(0.1, 0.9, (n, 2)) if name == "bce" else rng.normal(size=(n, 2))
    return prediction.astype(dtype), target


@pytest.mark.parametrize("case", cases("losses"), ids=str)
def test_agree_with_pytorch(case):
    """Kinks, certain answers and logits of ±1e4 included."""
    options = {k: v for k, v in case.options.items() if k != "edge"}
    prediction = Tensor(case["input0"].copy(), requires_grad=True)
    with np.errstate(over="ignore"):
        loss = LOSSES[case.kind](**options)(prediction, case["target"])
        loss.backward(case["cotangent"])
    close(loss, case["output"])
    expected = case["grad0"]
    if case.options.get("edge") == "certain":
        # There the gradient is divided by 1e-12, a constant that PyTorch keeps in float32.
        rtol = 1e-8 if expected.dtype == np.float64 else 1e-6
        np.testing.assert_allclose(prediction.grad, expected, rtol=rtol)
    else:
        close(prediction.grad, expected)
    with np.errstate(over="ignore"):
        close(FUNCTIONS[case.kind](case["input0"], case["target"], **options), case["output"])


class TestEveryLoss:
    @every_loss
    def test_gradient_is_the_central_difference(self, name):
        prediction, target = example(name)
        criterion = LOSSES[name]()
        criterion(prediction, target)
        expected = central_differences(
            lambda p: criterion(p, target).data, [prediction], 0, np.ones(())
        )
        criterion(prediction, target)
        np.testing.assert_allclose(criterion.backward(), expected, rtol=1e-6, atol=1e-9)

    @every_loss
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_is_one_number_in_the_dtype_of_the_prediction(self, name, dtype):
        prediction, target = example(name, dtype)
        for form in (target, target.tolist(), target.astype(np.float64), Tensor(target)):
            criterion = LOSSES[name]()
            loss = criterion(prediction, form)
            assert (loss.shape, loss.dtype) == ((), dtype)
            assert f"{loss:.4f}" == f"{loss.data.item():.4f}" == f"{loss.item():.4f}"
            grad = criterion.backward()
            assert (grad.shape, grad.dtype) == (prediction.shape, dtype)

    @every_loss
    def test_reductions(self, name):
        prediction, target = example(name)
        each = LOSSES[name](reduction="none")(prediction, target)
        assert each.shape == (prediction.shape[:1] if name == "cross_entropy" else target.shape)
        np.testing.assert_allclose(LOSSES[name]("sum")(prediction, target), each.data.sum())
        np.testing.assert_allclose(LOSSES[name]("mean")(prediction, target), each.data.mean())
        np.testing.assert_array_equal(
            LOSSES[name]()(prediction, target), LOSSES[name]("mean")(prediction, target)
        )
        for i in range(len(prediction)):
            alone = LOSSES[name]("none")(prediction[i : i + 1], target[i : i + 1])
            np.testing.assert_allclose(alone.data[0], each.data[i], rtol=1e-12)
        with pytest.raises(ConfigError, match=r"reduction: must be one of mean, sum, none"):
            LOSSES[name](reduction="average")

    @every_loss
    def test_nothing_is_broadcast(self, name):
        """A column against a vector is refused, with the way to mend it."""
        prediction, target = example(name)
        prediction, target = prediction[:, :1], target.reshape(-1)[: len(prediction)]
        wrong = [
            (prediction[:, 0], target[:, None]),
            (prediction, target[:1]),
            (prediction, target[0]),
            (prediction, target[:-1]),
            (prediction, target[None]),
        ]
        if name != "cross_entropy":
            wrong.append((prediction, target))
            with pytest.raises(ShapeError, match=r"\(5, 1\), got \(5,\); .*target.reshape\(5, 1\)"):
                LOSSES[name]()(prediction, target)
        for p, t in wrong:
            with pytest.raises(ShapeError) as caught:
                LOSSES[name]()(p, t)
            assert str(p.shape) in str(caught.value)
            assert str(t.shape) in str(caught.value)

    @every_loss
    def test_targets_are_data(self, name):
        """No gradient flows to them, even where they ask for one."""
        prediction, target = example(name, np.float32)
        wanted = Parameter(target)
        given = Tensor(prediction, requires_grad=True)
        LOSSES[name]()(given, wanted).backward()
        assert wanted.grad is None
        assert given.grad.any()

    @every_loss
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_is_never_nan_for_finite_input(self, name, dtype, data):
        """Up to the largest numbers there are: a loss may be infinite there, but not NaN."""
        width = 64 if dtype == np.float64 else 32
        finite = st.floats(allow_nan=False, allow_infinity=False, width=width)
        unit = st.floats(0, 1, width=width)
        n, classes = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
        shape = (n, classes)

        def draw(shape, elements):
            return data.draw(hnp.arrays(dtype, shape, elements=elements))

        prediction = draw(shape, unit if name == "bce" else finite)
        if name == "cross_entropy":
            target = draw(n, st.integers(0, classes - 1))
        elif name == "hinge":
            target = draw(shape, st.sampled_from([-1, 1]))
        else:
            target = draw(shape, unit if name.startswith("bce") else finite)
        criterion = LOSSES[name]("none")
        with np.errstate(all="ignore"):
            loss = criterion(prediction, target)
            grad = criterion.backward(np.ones_like(loss.data))
        assert not np.isnan(loss.data).any()
        assert not np.isnan(grad).any()

    @every_loss
    def test_of_no_examples(self, name):
        """Their sum is zero, and a mean of nothing is refused."""
        prediction, target = example(name, n=0)
        assert LOSSES[name]("none")(prediction, target).data.size == 0
        assert LOSSES[name]("sum")(prediction, target).item() == 0
        with pytest.raises(ShapeError, match="no examples"):
            LOSSES[name]()(prediction, target)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e4, 1e30, None])
def test_losses_of_logits_are_exact_far_out(dtype, scale):
    """Up to half the largest number; beyond, the difference of two logits may overflow."""
    scale = np.finfo(dtype).max / 2 if scale is None else scale
    z = np.array([[scale, -scale], [-scale, scale]], dtype)
    bce, ce = nn.BinaryCrossEntropyWithLogits("none"), nn.CrossEntropy("none")
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(bce(z, z > 0), np.zeros((2, 2)))
        np.testing.assert_array_equal(bce(z, z < 0), np.full((2, 2), z[0, 0]))
        np.testing.assert_array_equal(bce.backward(np.ones((2, 2))), np.sign(z))
    np.testing.assert_array_equal(ce(z, [0, 1]), [0, 0])
    np.testing.assert_array_equal(ce(z, [1, 0]), [2 * z[0, 0]] * 2)
    np.testing.assert_array_equal(ce.backward(np.ones(2)), np.sign(z))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_whose_difference_overflows_give_no_nan(dtype):
    most = np.finfo(dtype).max
    criterion = nn.CrossEntropy("none")
    with np.errstate(over="ignore"):
        loss = criterion(np.array([[most, -most], [most, -most]], dtype), [0, 1])
    np.testing.assert_array_equal(loss, [0, most])
    np.testing.assert_array_equal(criterion.backward(np.ones(2)), [[0, 0], [1, -1]])


def test_certain_and_wrong_probabilities_cost_a_hundred():
    criterion = nn.BinaryCrossEntropy("none")
    loss = criterion(np.array([0.0, 1.0, 1.0, 0.0]), np.array([1, 0, 1, 0]))
    np.testing.assert_array_equal(loss, [100, 100, 0, 0])
    assert np.isfinite(criterion.backward(np.ones(4))).all()


def test_probabilities_below_the_normal_numbers_cost_a_hundred():
    """Where PyTorch takes the logarithm of a denormal number, -92, we are at the limit already."""
    p = np.array([1e-40, 1e-38], np.float32)
    loss = nn.BinaryCrossEntropy("none")(p, [1, 1])
    np.testing.assert_allclose(loss.data, [100, 100])


class TestRefused:
    @pytest.mark.parametrize("wrong", [[[1.5]], [[-0.1]]])
    def test_probabilities_outside_0_and_1(self, wrong):
        with pytest.raises(ShapeError, match="BinaryCrossEntropyWithLogits on the raw scores"):
            nn.BinaryCrossEntropy()(wrong, [[1]])

    @pytest.mark.parametrize("wrong", [[3, 0], [-1, 0], [0.5, 0], [float("nan"), 0]])
    def test_classes_that_are_none(self, wrong):
        with pytest.raises(ShapeError, match="class indices from 0 to 2"):
            nn.CrossEntropy()(np.zeros((2, 3)), wrong)

    @pytest.mark.parametrize("wrong", [[0.0], [2.0], [0.5]])
    def test_hinge_targets_that_are_no_signs(self, wrong):
        with pytest.raises(ShapeError, match=r"2 \* target - 1"):
            nn.Hinge()([1.0], wrong)

    @pytest.mark.parametrize("loss", [nn.BinaryCrossEntropy(), nn.BinaryCrossEntropyWithLogits()])
    @pytest.mark.parametrize("wrong", [-1.0, 2.0, np.nan])
    def test_binary_cross_entropy_wants_targets_from_0_to_1(self, loss, wrong):
        with pytest.raises(ShapeError, match="from 0 to 1"):
            loss([[0.5], [0.5]], [[1.0], [wrong]])
        assert np.isfinite(loss([[0.5], [0.5]], [[0.25], [0.0]]).item())

    @pytest.mark.parametrize("wrong", [0, -1.0, float("nan")])
    def test_a_huber_delta_that_is_not_positive(self, wrong):
        with pytest.raises(ConfigError, match="delta"):
            nn.Huber(delta=wrong)


class TestCrossEntropy:
    def test_indices_and_one_hot_rows_are_the_same_bits(self):
        logits, target = example("cross_entropy", np.float32)
        results = []
        for form in (target, np.eye(3)[target]):
            criterion = nn.CrossEntropy()
            results.append((criterion(logits, form).data, criterion.backward()))
        np.testing.assert_array_equal(results[0][0], results[1][0])
        np.testing.assert_array_equal(results[0][1], results[1][1])

    def test_of_sequences(self):
        """Any number of leading axes: (batch, steps, classes) with classes (batch, steps)."""
        rng = np.random.default_rng(0)
        logits, target = rng.normal(size=(2, 4, 3)), rng.integers(0, 3, (2, 4))
        flat = nn.CrossEntropy()(logits.reshape(8, 3), target.reshape(8))
        np.testing.assert_allclose(nn.CrossEntropy()(logits, target).data, flat.data)
        assert nn.CrossEntropy("none")(logits, target).shape == (2, 4)

    def test_gradient_of_a_row_sums_to_zero(self):
        logits, target = example("cross_entropy")
        criterion = nn.CrossEntropy()
        criterion(logits, target)
        np.testing.assert_allclose(criterion.backward().sum(1), 0, atol=1e-15)


def test_every_loss_is_in_the_library_under_its_names():
    for name, cls in LOSSES.items():
        assert cls.name == name
        assert getattr(nn, cls.__name__) is cls
    assert (nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.HingeLoss) == (
        nn.MSE,
        nn.L1,
        nn.Huber,
        nn.Hinge,
    )
    assert nn.BCELoss is nn.BinaryCrossEntropy
    assert nn.BCEWithLogitsLoss is nn.BinaryCrossEntropyWithLogits
    assert nn.CrossEntropyLoss is nn.CrossEntropy
    assert set(FUNCTIONS) == set(LOSSES)


def test_repr_shows_what_is_not_the_default():
    assert repr(nn.MSE()) == "MSE()"
    assert repr(nn.MSE("sum")) == "MSE(reduction='sum')"
    assert "0.5" in repr(nn.Huber(delta=0.5))


class TestReduction:
    @pytest.mark.parametrize("n", [1000, 1_000_000])
    def test_of_few_and_many_losses_is_exact_to_a_few_digits_of_float32(self, n):
        errors = np.random.default_rng(0).uniform(0, 1, (n, 1)).astype(np.float32)
        mean = errors.mean(dtype=np.float64)
        nothing = np.zeros_like(errors)
        assert nn.L1()(errors, nothing).item() == pytest.approx(mean, rel=1e-6)
        assert nn.L1("sum")(errors, nothing).item() == pytest.approx(n * mean, rel=1e-6)

    def test_of_many_losses_leaves_nothing_behind(self):
        criterion = nn.MSE()
        many = np.zeros((1_000_000, 1), np.float32)
        tracemalloc.start()
        try:
            criterion(many, many)
            criterion._last_call = None
            assert tracemalloc.get_traced_memory()[0] < 100_000
        finally:
            tracemalloc.stop()

    def test_follows_changes_of_the_loss(self):
        huber = nn.Huber()
        assert huber([3.0, 0.0], [0.0, 0.0]).item() == 1.25
        huber.delta = 2.0
        assert huber([3.0, 0.0], [0.0, 0.0]).item() == 2.0
        huber.reduction = "sum"
        assert huber([3.0, 0.0], [0.0, 0.0]).item() == 4.0
        assert huber([3.0], [0.0]).item() == 4.0

    def test_that_changes_changes_the_gradient_too(self):
        mean = F.Reduced(F.SquaredError())
        p, target = Tensor([1.0, 2.0], requires_grad=True), Tensor([0.0, 0.0])
        for reduction, expected in (("mean", [1.0, 2.0]), ("sum", [2.0, 4.0])):
            mean.reduction, p.grad = reduction, None
            apply(mean, p, target).backward()
            np.testing.assert_array_equal(p.grad, expected)

    def test_of_truth_values_counts_them(self):
        wrong = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 0.0])
        assert ZeroOne()(*wrong).item() == 0.75
        assert ZeroOne("sum")(*wrong).item() == 3

    def test_a_gradient_that_is_passed_on_is_the_leaf_s_own(self):
        criterion, p = Difference(), nn.Tensor(5.0, requires_grad=True)
        for _ in range(2):
            p.grad = None
            criterion(p, 0.0).backward()
            assert p.grad == 1
            p.grad *= 100


class ZeroOneError(F.Function):
    def forward(self, k, p, t):
        return k.greater(k.absolute(k.subtract(p, t)), 0.5), None


class ZeroOne(nn.losses.Loss):
    name, function = "zero_one", ZeroOneError()


class PassesOn(F.Function):
    passes_gradient_on = True

    def forward(self, k, p, t):
        return k.subtract(p, t), None

    def backward(self, k, grad, saved, needs):
        return grad, None


class Difference(nn.losses.Loss):
    name, function = "difference", PassesOn()


def test_targets_are_read_in_the_dtype_of_the_predictions():
    exact = 2**24 + 1  # which float32 does not know
    prediction = nn.Tensor([float(exact)], dtype=np.float64)
    for target in (np.array([exact]), [exact], nn.Tensor([exact], dtype=np.float64)):
        assert nn.MSE()(prediction, target).item() == 0
