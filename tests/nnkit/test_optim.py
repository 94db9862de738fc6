"""Optimizers: step by step against PyTorch, and well behaved around the rule."""

import copy
import pickle

import numpy as np
import pytest

import nnkit as nn
from nnkit.errors import ConfigError, GraphError, ShapeError
from nnkit.optim import BLOCK, FLUSH_EVERY, OPTIMIZERS, clip_grad_norm_, clip_grad_value_
from nnkit.tensor import Parameter, Tensor
from tests.nnkit.numeric import assert_same_bits
from tests.reference import cases, gradient

every_rule = pytest.mark.parametrize("rule", OPTIMIZERS)
DTYPES = (np.float32, np.float64)

#: Options that make the rule use all that it has.
RICH = {
    "sgd": {"momentum": 0.9, "dampening": 0.2},
    "adam": {"betas": (0.8, 0.95), "eps": 1e-6},
    "adamw": {"betas": (0.8, 0.95), "eps": 1e-6},
    "rmsprop": {"momentum": 0.5, "centered": True},
    "adagrad": {"lr_decay": 0.1, "initial_accumulator_value": 0.1},
    "adadelta": {"rho": 0.8},
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def parameters(*shapes, dtype=np.float32) -> list[Parameter]:
    return [Parameter(rng(i).normal(size=s), dtype=dtype) for i, s in enumerate(shapes)]


def give_gradients(params, step: int, scale: float = 1.0) -> None:
    for i, p in enumerate(params):
        p.grad = scale * rng([step, i]).normal(size=p.shape)


def values(params) -> list[np.ndarray]:
    return [p.data.copy() for p in params]


# Against PyTorch --------------------------------------------------------------------------------

#: What PyTorch offers and we do not, on purpose: the variant AMSGrad keeps the largest average of
#: g² ever met, which later work found to make no difference; and momentum by group.
UNSUPPORTED = ("amsgrad",)


def supported(case) -> bool:
    return not any(name in case.options for name in UNSUPPORTED)


def follow(case, optimizers, params) -> np.ndarray:
    path = []
    for _ in range(len(case["trajectory"])):
        everything = np.concatenate([p.data for p in params])
        slopes = np.split(gradient(case, everything), np.cumsum([p.size for p in params])[:-1])
        for p, slope in zip(params, slopes, strict=True):
            p.grad = slope
        for optimizer in optimizers:
            optimizer.step()
        path.append(np.concatenate([p.data for p in params]))
    return np.array(path)


def compare(path: np.ndarray, expected: np.ndarray) -> None:
    """All of 100 steps, to 1e-6 in float32 and 1e-12 in float64."""
    assert path.dtype == expected.dtype
    rtol = 1e-6 if expected.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(path, expected, rtol=rtol, atol=0)


@pytest.mark.parametrize("case", [*filter(supported, cases("optimizers"))], ids=str)
def test_trajectories_are_pytorchs(case):
    """A hundred steps for every option."""
    options = dict(case.options)
    groups = options.pop("groups", [{"slice": [0, 12]}])
    params = [Parameter(case["p0"][slice(*g["slice"])]) for g in groups]
    assert params[0].dtype == case.dtype
    settings = [{k: v for k, v in g.items() if k != "slice"} for g in groups]
    if any("momentum" in s for s in settings):
        # Momentum belongs to the whole optimizer here; two of them do what two groups do there.
        with pytest.raises(ConfigError, match="momentum: is no group option"):
            OPTIMIZERS[case.kind]([{"params": params, "momentum": 0.9}])
        rule = OPTIMIZERS[case.kind]
        made = [rule([p], **options | s) for p, s in zip(params, settings, strict=True)]
    else:
        groups = [{"params": [p], **s} for p, s in zip(params, settings, strict=True)]
        made = [OPTIMIZERS[case.kind](groups, **options)]
    compare(follow(case, made, params), case["trajectory"])


def test_what_is_not_offered_is_refused():
    for rule in (nn.Adam, nn.AdamW):
        with pytest.raises(TypeError, match="amsgrad"):
            rule(parameters(2), amsgrad=True)


@pytest.mark.parametrize(
    "case",
    [c for c in cases("optimizers") if {"clip_norm", "clip_value"} & set(c.options)],
    ids=str,
)
def test_clipping_by_hand_is_the_same(case):
    options = dict(case.options)
    norm, value = options.pop("clip_norm", None), options.pop("clip_value", None)
    p = Parameter(case["p0"])
    optimizer, path = OPTIMIZERS[case.kind]([p], **options), []
    for _ in range(len(case["trajectory"])):
        p.grad = gradient(case, p.data)
        if norm is not None:
            clip_grad_norm_([p], norm)
        if value is not None:
            clip_grad_value_([p], value)
        optimizer.step()
        path.append(p.data.copy())
    compare(np.array(path), case["trajectory"])


@pytest.mark.parametrize(
    "case",
    [c for c in cases("clipping") if c.options.get("norm_type", 2.0) == 2.0],
    ids=str,
)
def test_clipping_functions_are_pytorchs(case):
    """Ours knows the Euclidean length only."""
    params = [Parameter(np.zeros_like(g)) for g in case.series("grad")]
    for p, g in zip(params, case.series("grad"), strict=True):
        p.grad = g
    if case.kind == "clip_grad_norm":
        norm = clip_grad_norm_(params, case.options["max_norm"])
        np.testing.assert_allclose(norm, case["norm"], rtol=1e-6)
    else:
        clip_grad_value_(params, case.options["clip_value"])
    rtol = 1e-6 if case.dtype == "float32" else 1e-12
    for p, expected in zip(params, case.series("clipped"), strict=True):
        assert p.grad.dtype == expected.dtype
        np.testing.assert_allclose(p.grad, expected, rtol=rtol)


# Penalties and clipping -------------------------------------------------------------------------


class TestPenalties:
    @every_rule
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_are_gradients_of_the_penalties(self, rule, dtype):
        """Decay adds weight_decay·p, l1 adds l1·sign(p); AdamW's decay goes past the rule."""
        (p, q), lr, decay, l1 = parameters(6, 6, dtype=dtype), 0.1, 0.2, 0.05
        q.data = p.data
        p.data[0] = q.data[0] = 0  # where |p| has its kink, l1 adds nothing
        penalised = OPTIMIZERS[rule]([p], lr=lr, weight_decay=decay, l1=l1, **RICH[rule])
        plain = OPTIMIZERS[rule]([q], lr=lr, weight_decay=0.0, **RICH[rule])
        for step in range(5):
            p.grad = q.grad = rng(step).normal(size=6)
            if rule == "adamw":
                q.grad = q.grad + l1 * np.sign(q.data)
                q.data = q.data * (1 - lr * decay)
            else:
                q.grad = q.grad + decay * q.data + l1 * np.sign(q.data)
            penalised.step()
            plain.step()
        np.testing.assert_allclose(p.data, q.data, rtol=1e-5 if dtype == np.float32 else 1e-12)

    def test_leave_the_gradients_as_they_are(self):
        p, q = parameters((2, 3), 3)
        optimizer = nn.SGD([p, q], weight_decay=0.1, l1=0.1, clip_norm=0.1, clip_value=0.01)
        give_gradients([p, q], 0)
        before = [p.grad.copy(), q.grad.copy()]
        optimizer.step()
        np.testing.assert_array_equal(p.grad, before[0])
        np.testing.assert_array_equal(q.grad, before[1])


class TestClipping:
    def test_by_norm_is_over_all_parameters_together(self):
        p, q = parameters(3, 4)
        for scale, length in ((1.0, 0.5), (0.01, None)):
            before = values([p, q])
            give_gradients([p, q], 1, scale)
            own = np.linalg.norm(np.concatenate([p.grad, q.grad]))
            nn.SGD([p, q], lr=1.0, clip_norm=0.5).step()
            moved = np.concatenate([b - n for b, n in zip(before, values([p, q]), strict=True)])
            np.testing.assert_allclose(np.linalg.norm(moved), length or own, rtol=1e-4)

    def test_by_norm_passes_over_parameters_without_a_gradient(self):
        """Those on either side of one that is left out still count as one vector."""
        p, out, q = parameters(3, 2, 4)
        before = values([p, q])
        give_gradients([p, out, q], 1)
        out.grad = None
        nn.SGD([p, out, q], lr=1.0, clip_norm=0.5).step()
        moved = np.concatenate([b - n for b, n in zip(before, values([p, q]), strict=True)])
        np.testing.assert_allclose(np.linalg.norm(moved), 0.5, rtol=1e-5)

    def test_by_norm_forgets_the_gradient_of_an_earlier_step(self):
        p, q = parameters(3, 4)
        optimizer = nn.SGD([p, q], lr=1.0, clip_norm=0.5)
        give_gradients([p, q], 1, scale=100)
        optimizer.step()
        before = values([p, q])
        give_gradients([p, q], 2, scale=0.01)
        q.grad = None
        own = np.linalg.norm(p.grad)
        optimizer.step()
        np.testing.assert_allclose(np.linalg.norm(before[0] - p.data), own, rtol=1e-3)
        np.testing.assert_array_equal(q.data, before[1])

    def test_by_value_limits_each_entry(self):
        (p,) = parameters(50)
        before = values([p])[0]
        give_gradients([p], 1)
        expected = np.clip(p.grad, -0.3, 0.3)
        nn.SGD([p], lr=1.0, clip_value=0.3).step()
        np.testing.assert_allclose(before - p.data, expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
    @pytest.mark.parametrize("wrong", [0, -1.0, float("nan")])
    def test_limits_must_be_positive(self, name, wrong):
        with pytest.raises(ConfigError, match=rf"{name}: must be a number above 0 \(or None\)"):
            nn.SGD(parameters(2), **{name: wrong})

    def test_functions_pass_over_what_has_no_gradient(self):
        p, q = parameters(2, 2)
        p.grad = [3.0, 4.0]
        assert clip_grad_norm_([p, q], 1.0) == pytest.approx(5.0)
        np.testing.assert_allclose(p.grad, [0.6, 0.8], rtol=1e-5)
        clip_grad_value_([p, q], 0.5)
        np.testing.assert_allclose(p.grad, [0.5, 0.5])
        assert q.grad is None


# Groups -----------------------------------------------------------------------------------------


class TestGroups:
    @every_rule
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_have_options_of_their_own(self, rule, dtype):
        """One optimizer with two groups does what two optimizers do."""
        options = [
            {"lr": 0.1, "weight_decay": 0.1, "l1": 0.0},
            {"lr": 0.03, "weight_decay": 0.0, "l1": 0.02},
        ]
        together, apart = ([*parameters((3, 2), 3, 4, dtype=dtype)] for _ in "12")
        split = [slice(0, 2), slice(2, 3)]
        groups = [{"params": together[s], **o} for s, o in zip(split, options, strict=True)]
        one = OPTIMIZERS[rule](groups, **RICH[rule])
        two = [
            OPTIMIZERS[rule](apart[s], **o, **RICH[rule])
            for s, o in zip(split, options, strict=True)
        ]
        for step in range(10):
            give_gradients(together, step)
            give_gradients(apart, step)
            one.step()
            for optimizer in two:
                optimizer.step()
        rtol = 1e-5 if dtype == np.float32 else 1e-12
        for p, q in zip(together, apart, strict=True):
            np.testing.assert_allclose(p.data, q.data, rtol=rtol, atol=rtol)

    def test_take_what_they_do_not_say_from_the_optimizer(self):
        p, q = parameters(2, 3)
        optimizer = nn.SGD([{"params": p}, {"params": [q], "lr": 1}], lr=0.5, weight_decay=0.1)
        assert [g["lr"] for g in optimizer.param_groups] == [0.5, 1]
        assert [g["weight_decay"] for g in optimizer.param_groups] == [0.1, 0.1]
        assert optimizer.parameters == [p, q]
        assert optimizer.lr == 0.5
        optimizer.lr = 0.25
        assert [g["lr"] for g in optimizer.param_groups] == [0.25, 0.25]

    @every_rule
    def test_options_changed_on_the_way_count_from_the_next_step(self, rule):
        changes = [("lr", 0.2), ("weight_decay", 0.3), ("l1", 0.1), ("lr", 0.0)]
        (p,), (q,) = parameters(4), parameters(4)
        optimizer = OPTIMIZERS[rule]([p], lr=0.1, weight_decay=0.0)
        state = None
        options = {"lr": 0.1, "weight_decay": 0.0}
        for step, (name, value) in enumerate(changes):
            optimizer.param_groups[0][name] = value
            options[name] = value
            fresh = OPTIMIZERS[rule]([q], **options)
            if state is not None:
                fresh.load_state_dict(state)
            p.grad = q.grad = rng(step).normal(size=4)
            optimizer.step()
            fresh.step()
            state = fresh.state_dict()
            assert_same_bits(p.data, q.data)

    @pytest.mark.parametrize(
        "params, message",
        [
            (lambda p, q: [{"params": [p]}, {"params": [p, q]}], "stands in two groups"),
            (lambda p, q: [p, p], "stands in two groups"),
            (lambda p, q: [{"params": [p], "learning_rate": 1}], "learning_rate: is no group opt"),
            (lambda p, q: [{"params": [p], "lr": -1}], "lr: must be a number from 0"),
            (lambda p, q: [], "params: is empty"),
            (lambda p, q: [{"params": []}], "params: is empty"),
            (lambda p, q: p, "must be a list of parameters"),
            (lambda p, q: [p.data], "must be parameters, got ndarray"),
            (lambda p, q: [p, Parameter([1.0], dtype=np.float64)], "share one dtype"),
            (lambda p, q: [{"lr": 0.1}], "params"),
            (lambda p, q: [p, {"params": [q]}], "params"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, params, message):
        p, q = parameters(2, 2)
        before = p.data
        with pytest.raises(ConfigError, match=message):
            nn.SGD(params(p, q), lr=0.1)
        assert p.data is before

    def test_results_of_operations_are_refused(self):
        with pytest.raises(GraphError, match="changes leaves"):
            nn.SGD([parameters(2)[0] * 2])


@pytest.mark.parametrize(
    "make, field",
    [
        (lambda p: nn.SGD(p, lr=-0.1), "lr"),
        (lambda p: nn.SGD(p, lr=float("nan")), "lr"),
        (lambda p: nn.SGD(p, weight_decay=-1), "weight_decay"),
        (lambda p: nn.SGD(p, l1=float("inf")), "l1"),
        (lambda p: nn.SGD(p, momentum=1.0), "momentum"),
        (lambda p: nn.SGD(p, momentum=-0.1), "momentum"),
        (lambda p: nn.SGD(p, nesterov=True), "nesterov"),
        (lambda p: nn.SGD(p, momentum=0.9, nesterov=True, dampening=0.1), "nesterov"),
        (lambda p: nn.Adam(p, betas=(0.9, 1.0)), "betas"),
        (lambda p: nn.Adam(p, betas=(-0.1, 0.9)), "betas"),
        (lambda p: nn.AdamW(p, betas=(0.9, 2)), "betas"),
        (lambda p: nn.RMSprop(p, alpha=1.0), "alpha"),
        (lambda p: nn.RMSprop(p, momentum=1.0), "momentum"),
        (lambda p: nn.AdaDelta(p, rho=1.0), "rho"),
        (lambda p: nn.AdaDelta(p, eps=float("nan")), "eps"),
        (lambda p: nn.Adam(p, eps=-1), "eps"),
        (lambda p: nn.Adam(p, betas=0.9), "betas"),
        (lambda p: nn.Adam(p, betas=(0.9, 0.9, 0.9)), "betas"),
        (lambda p: nn.Adam(p, lr="0.1"), "lr"),
        (lambda p: nn.SGD(p, momentum=0.9, dampening=float("nan")), "dampening"),
        (lambda p: nn.AdaGrad(p, initial_accumulator_value=-5), "initial_accumulator_value"),
        (lambda p: setattr(nn.SGD(p), "lr", float("nan")), "lr"),
        (lambda p: setattr(nn.SGD(p), "lr", -1), "lr"),
        (lambda p: nn.SGD(p).load_state_dict({"steps": -5, "memory": []}), "steps"),
    ],
)
def test_options_out_of_range_are_refused(make, field):
    with pytest.raises(ConfigError) as caught:
        make(parameters(2))
    assert caught.value.field == field


# Around the rule --------------------------------------------------------------------------------


class TestStep:
    @every_rule
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_keeps_dtype_and_arrays(self, rule, dtype):
        params = parameters((3, 2), 3, (), dtype=dtype)
        optimizer = OPTIMIZERS[rule](params)
        arrays = [p.data for p in params]
        give_gradients(params, 0)
        optimizer.step()
        for p, array in zip(params, arrays, strict=True):
            assert p.data is array
            assert p.dtype == dtype
        assert optimizer.flat.dtype == optimizer.memory.dtype == dtype

    @every_rule
    def test_leaves_parameters_without_a_gradient_alone(self, rule):
        """Their values and what the optimizer remembers of them, wherever they stand."""
        for absent in ([0], [1], [2], [0, 2], [0, 1, 2]):
            params, others = parameters((2, 2), 3, 4), parameters((2, 2), 3, 4)
            options = RICH[rule] | {"weight_decay": 0.1, "l1": 0.1}
            optimizer = OPTIMIZERS[rule](params, lr=0.1, **options)
            for step in range(3):
                give_gradients(params, step)
                optimizer.step()
            before, memory = values(params), optimizer.memory.copy()
            for p, other in zip(params, others, strict=True):
                other.data = p.data
            present = [i for i in range(3) if i not in absent]
            give_gradients(params, 3)
            for i in absent:
                params[i].grad = None
            optimizer.step()
            starts = np.cumsum([0, *(p.size for p in params)])
            for i in absent:
                part = slice(starts[i], starts[i + 1])
                np.testing.assert_array_equal(params[i].data, before[i])
                np.testing.assert_array_equal(optimizer.memory[:, part], memory[:, part])
            for i in present:
                assert (params[i].data != before[i]).all()

    @every_rule
    def test_moves_those_with_a_gradient_as_if_they_were_alone(self, rule):
        params, alone = parameters((2, 2), 3, 4), parameters((2, 2), 3, 4)[::2]
        optimizer = OPTIMIZERS[rule](params, lr=0.1, **RICH[rule])
        other = OPTIMIZERS[rule](alone, lr=0.1, **RICH[rule])
        for step in range(4):
            give_gradients(params, step)
            for p, q in zip(params[::2], alone, strict=True):
                q.grad = p.grad
            params[1].grad = None
            optimizer.step()
            other.step()
        for p, q in zip(params[::2], alone, strict=True):
            assert_same_bits(p.data, q.data)

    def test_frozen_layers_stay_and_the_rest_learns(self):
        model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.Linear(3, 1))
        for p in model[2].parameters():
            p.requires_grad = False
        optimizer = nn.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
        before = model.state_dict()
        for _ in range(3):
            optimizer.zero_grad()
            nn.mse_loss(model(np.ones((4, 2))), np.zeros((4, 1))).backward()
            optimizer.step()
        for name, value in model.state_dict().items():
            assert np.array_equal(value, before[name]) == name.startswith("2.")

    @every_rule
    def test_numbers_worked_out_ahead_are_those_of_each_step(self, rule):
        """Whatever changes in between; a class with numbers of its own has them at every step."""

        class Own(OPTIMIZERS[rule]):
            factor = 1.0

            def numbers(self, lr, step):
                return super().numbers(lr * self.factor, step)

        changes = {
            20: lambda o: setattr(o, "lr", 0.02),
            21: lambda o: setattr(o, "lr", 0.03),
            30: lambda o: setattr(o, "eps", 1e-3),
            150: lambda o: setattr(o, "betas", (0.8, 0.99)),
            151: lambda o: setattr(o, "lr_decay", 0.1),
            160: lambda o: o.load_state_dict(o.state_dict() | {"steps": 7}),
        }
        params, others = parameters((2, 2), 3), parameters((2, 2), 3)
        optimizer = OPTIMIZERS[rule](params, lr=0.01, **RICH[rule])
        own = Own(others, lr=0.01, **RICH[rule])
        for step in range(300):
            for o in (optimizer, own):
                changes.get(step, lambda _: None)(o)
            for p, q in zip(params, others, strict=True):
                p.grad = q.grad = np.random.default_rng(step).normal(size=p.shape)
            optimizer.step()
            own.step()
        for p, q in zip(params, others, strict=True):
            assert_same_bits(p.data, q.data)
        own.factor, before = 0.0, values(others)
        own.step()
        if rule != "adamw":  # whose decay has a rate of its own
            np.testing.assert_array_equal(
                np.concatenate(values(others), None), np.concatenate(before, None)
            )

    def test_counts_steps_for_the_whole_optimizer(self):
        """PyTorch counts for each parameter: one that joins later starts its bias correction anew.

        Here it joins at the common count, so Adam's first steps for it are shorter.
        """
        late, always = parameters(2, 2)
        optimizer = nn.Adam([late, always], lr=0.1)
        before = late.data.copy()
        for step in range(11):
            always.grad = np.ones(2)
            late.grad = None if step < 10 else np.ones(2)
            optimizer.step()
        b1, b2 = optimizer.betas
        m, v = (1 - b1) / (1 - b1**11), (1 - b2) / (1 - b2**11)
        np.testing.assert_allclose(before - late.data, 0.1 * m / np.sqrt(v), rtol=1e-4)

    def test_of_large_and_small_parameters_is_by_blocks(self):
        """More elements than fit into one block: each is changed once, by its own options."""
        sizes = (BLOCK - 3, 2 * BLOCK + 7, 5)
        params = parameters(*sizes)
        groups = [{"params": [p], "lr": 0.1 * (i + 1)} for i, p in enumerate(params)]
        optimizer = nn.SGD(groups, momentum=0.5, weight_decay=0.1)
        expected, velocity = [p.data.astype(float) for p in params], [0.0] * 3
        for step in range(2):
            give_gradients(params, step)
            for i, p in enumerate(params):
                velocity[i] = 0.5 * velocity[i] + p.grad + 0.1 * expected[i]
                expected[i] = expected[i] - 0.1 * (i + 1) * velocity[i]
            optimizer.step()
        for p, value in zip(params, expected, strict=True):
            np.testing.assert_allclose(p.data, value, rtol=1e-5, atol=1e-6)

    @every_rule
    def test_goes_on_after_memories_have_decayed_to_nothing(self, rule):
        """Arithmetic on denormal numbers is slow, so memories end at zero; nothing else changes."""
        (p,) = parameters(4)
        optimizer = OPTIMIZERS[rule]([p], lr=0.01, **{"sgd": {"momentum": 0.5}}.get(rule, {}))
        p.grad = np.full(4, 1e-18)
        for _ in range(2 * FLUSH_EVERY + 1):
            optimizer.step()
            p.grad = np.zeros(4)
        tiny = np.finfo(np.float32).tiny
        memory = np.abs(optimizer.memory)
        assert not ((memory > 0) & (memory < tiny)).any()
        assert np.isfinite(p.data).all()

    @every_rule
    def test_of_huge_and_tiny_gradients_is_finite(self, rule):
        for size in (1e-30, 1e15):
            (p,) = parameters(3)
            optimizer = OPTIMIZERS[rule]([p], lr=0.01)
            for _ in range(3):
                p.grad = np.full(3, size)
                optimizer.step()
            assert np.isfinite(p.data).all()

    @every_rule
    def test_takes_numpy_numbers_as_options(self, rule):
        """As np.linspace gives them: the same bits as with Python's, and no float64 inside."""
        (p,), (q,) = parameters(5), parameters(5)
        numbers = RICH[rule] | {"lr": 0.1, "weight_decay": 0.1, "l1": 0.01, "clip_norm": 0.5}
        converted = {
            k: tuple(map(np.float64, v)) if isinstance(v, tuple)
            else v if isinstance(v, bool) else np.float64(v)
            for k, v in numbers.items()
        }  # fmt: skip
        one, other = OPTIMIZERS[rule]([p], **numbers), OPTIMIZERS[rule]([q], **converted)
        for step in range(5):
            p.grad = q.grad = rng(step).normal(size=5)
            one.step()
            other.step()
            assert_same_bits(p.data, q.data)

    def test_zero_grad_forgets(self):
        p, q = parameters(2, 2)
        give_gradients([p, q], 0)
        optimizer = nn.SGD([p])
        optimizer.zero_grad()
        assert p.grad is None
        assert q.grad is not None


class TestPacking:
    def test_parameters_keep_their_values_and_become_views(self):
        model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3), nn.Linear(3, 1))
        before = model.state_dict()
        optimizer = nn.SGD(model.parameters())
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])
        for p in model.parameters():
            assert np.shares_memory(p.data, optimizer.flat)

    def test_assigned_values_take_part_in_the_next_step(self):
        p, q = parameters((2, 2), 2)
        optimizer = nn.SGD([p, q], lr=1.0)
        p.data = np.ones((2, 2))
        p.grad, q.grad = np.ones((2, 2)), np.zeros(2)
        optimizer.step()
        np.testing.assert_array_equal(p.data, np.zeros((2, 2)))

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_copied_with_its_parameters_it_changes_the_copies(self, copied):
        (p,) = parameters(4)
        optimizer = nn.Adam([p], lr=0.1)
        for seed in range(3):
            give_gradients([p], seed)
            optimizer.step()
        (q,), other = copied(([p], optimizer))
        for seed in range(3, 6):
            give_gradients([p, q], seed)
            q.grad = p.grad
            before = p.data.copy()
            other.step()
            np.testing.assert_array_equal(p.data, before)
            optimizer.step()
            assert (p.data != before).all()
            assert_same_bits(q.data, p.data)

    def test_two_optimizers_on_the_same_parameters(self):
        """They take turns; the last one made does not cut the first one off."""
        (p,) = parameters(4)
        expected = p.data.astype(np.float64)
        first, second = nn.SGD([p], lr=0.1, momentum=0.9), nn.Adam([p], lr=0.05)
        velocity, m, v = np.zeros(4), np.zeros(4), np.zeros(4)
        for t in range(1, 6):
            for optimizer in (first, second):
                p.grad = rng(t).normal(size=4)
                optimizer.step()
            g = rng(t).normal(size=4)
            velocity = 0.9 * velocity + g
            expected = expected - 0.1 * velocity
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            expected = expected - 0.05 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(p.data, expected, rtol=1e-5)

    def test_two_optimizers_on_parts_of_a_model(self):
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        optimizers = [nn.SGD(layer.parameters(), lr=0.1) for layer in model]
        before = model.state_dict()
        model(np.ones((3, 2))).sum().backward()
        grads = {name: p.grad for name, p in model.named_parameters()}
        for optimizer in optimizers:
            optimizer.step()
        for name, p in model.named_parameters():
            np.testing.assert_allclose(p.data, before[name] - 0.1 * grads[name], rtol=1e-6)

    def test_a_parameter_of_another_dtype_is_noticed(self):
        (p,) = parameters(2)
        optimizer = nn.SGD([p])
        p._data = p.data.astype(np.float64)
        p.grad = np.ones(2)
        with pytest.raises(ShapeError, match="float64; make a new optimizer"):
            optimizer.step()

    def test_plain_tensors_can_be_trained(self):
        x = Tensor([3.0], requires_grad=True)
        optimizer = nn.SGD([x], lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            (x * x).sum().backward()
            optimizer.step()
        assert abs(x.item()) < 1e-6


class TestState:
    def test_what_is_none_is_refused(self):
        optimizer = nn.Adam(parameters(2)[:1])
        with pytest.raises(ShapeError, match="steps, memory is missing"):
            optimizer.load_state_dict({})

    @every_rule
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_round_trip_goes_on_bit_for_bit(self, rule, dtype):
        (p,), (q,) = parameters(6, dtype=dtype), parameters(6, dtype=dtype)
        first = OPTIMIZERS[rule]([p], lr=0.1, **RICH[rule])
        for step in range(7):
            give_gradients([p], step)
            first.step()
        state = first.state_dict()
        q.data = p.data
        second = OPTIMIZERS[rule]([q], lr=0.1, **RICH[rule])
        second.load_state_dict(state)
        for step in range(7, 12):
            for optimizer, params in ((first, [p]), (second, [q])):
                give_gradients(params, step)
                optimizer.step()
            assert_same_bits(p.data, q.data)

    def test_is_a_copy(self):
        (p,) = parameters(3)
        optimizer = nn.Adam([p])
        state = optimizer.state_dict()
        give_gradients([p], 0)
        optimizer.step()
        assert state["steps"] == 0
        assert not state["memory"].any()
        kept = optimizer.state_dict()
        optimizer.load_state_dict(kept)
        kept["memory"][...] = 5
        assert (optimizer.memory != 5).all()

    @pytest.mark.parametrize(
        "state",
        [
            {"steps": 3, "memory": np.zeros((2, 4))},
            {"steps": 3, "memory": np.zeros((1, 3))},
            {"steps": "three", "memory": np.ones((2, 3))},
            {"steps": None, "memory": np.ones((2, 3))},
            {"memory": np.ones((2, 3))},
            {"steps": 3},
            {},
            {"steps": 3, "memory": np.full((2, 3), "a")},
        ],
        ids=str,
    )
    def test_of_another_optimizer_is_refused_and_nothing_changes(self, state):
        optimizer = nn.Adam(parameters(3))
        with pytest.raises((ShapeError, KeyError, TypeError, ValueError)):
            optimizer.load_state_dict(state)
        assert optimizer.steps == 0
        assert not optimizer.memory.any()


def test_names():
    assert (nn.Adagrad, nn.Adadelta) == (nn.AdaGrad, nn.AdaDelta)
    for cls in OPTIMIZERS.values():
        assert getattr(nn, cls.__name__) is cls
        assert cls.__name__ in repr(cls(parameters(1000)))
        assert "1,000 parameters" in repr(cls(parameters(1000)))


def test_a_single_parameter_is_clipped():
    p = Parameter([3.0, 4.0])
    p.grad = [3.0, 4.0]
    assert clip_grad_norm_(p, 1.0) == 5.0
    np.testing.assert_allclose(p.grad, [0.6, 0.8], rtol=1e-5)
    clip_grad_value_(p, 0.7)
    np.testing.assert_allclose(p.grad, [0.6, 0.7], rtol=1e-5)


@pytest.mark.parametrize("rule", ["adam", "adamw"])
def test_new_betas_leave_the_averages_as_they_are(rule):
    """After many equal gradients, a step is as long as the learning rate, whatever the betas."""

    def trained(betas=(0.9, 0.999)):
        p = Parameter([0.0], dtype=np.float64)
        optimizer = OPTIMIZERS[rule]([p], lr=0.1, betas=betas, weight_decay=0.0)
        for _ in range(20_000):
            p.grad = [1.0]
            optimizer.step()
        return p, optimizer

    for betas in ((0.5, 0.999), (0.9, 0.99)):
        p, optimizer = trained()
        other, copied = Parameter([0.0], dtype=np.float64), None
        copied = OPTIMIZERS[rule]([other], lr=0.1, betas=betas, weight_decay=0.0)
        copied.load_state_dict(optimizer.state_dict())
        optimizer.betas = betas
        for q, o in ((p, optimizer), (other, copied)):
            before = q.data.item()
            q.grad = [1.0]
            o.step()
            assert before - q.data.item() == pytest.approx(0.1, rel=1e-6)


def test_numbers_of_a_mixin_are_those_of_each_step():
    class Warm:
        factor = 1.0

        def numbers(self, lr, step):
            return super().numbers(lr * self.factor, step)

    class Mixed(Warm, nn.SGD):
        pass

    p = Parameter([0.0])
    optimizer = Mixed([p], lr=1.0)
    for factor in (1.0, 1.0, 0.0, 0.0):
        optimizer.factor = factor
        p.grad = [1.0]
        optimizer.step()
    assert p.data == -2


def test_parameters_that_come_later_are_refused():
    p, q = parameters(2, 3)
    optimizer = nn.SGD([p], lr=0.1)
    optimizer.param_groups.append({"params": [q], "lr": 0.1, "weight_decay": 0.0, "l1": 0.0})
    give_gradients([p, q], 0)
    with pytest.raises(ConfigError, match="param_groups: has other parameters"):
        optimizer.step()


def test_momentum_that_comes_later_is_refused():
    optimizer = nn.SGD([Parameter([1.0])], lr=0.1)
    with pytest.raises(ConfigError, match="momentum: was 0 when"):
        optimizer.momentum = 0.9
    assert optimizer.momentum == 0


def test_a_rate_that_changes_in_place_counts():
    p, rate = Parameter([0.0]), np.array(1.0)
    optimizer = nn.SGD([p], lr=1.0)
    optimizer.param_groups[0]["lr"] = rate
    for _ in range(4):
        p.grad = [1.0]
        optimizer.step()
        rate *= 0.5
    assert p.data == -1.875


def test_a_state_with_other_betas_than_two_changes_nothing():
    optimizer = nn.Adam([Parameter([0.0])])
    state = {"memory": np.ones((2, 1)), "steps": 3, "betas": (0.9,)}
    with pytest.raises(ShapeError, match="betas of a state are two"):
        optimizer.load_state_dict(state)
    assert optimizer.steps == 0 and not optimizer.memory.any()


def test_a_bias_of_another_length_is_refused_wherever_it_lies():
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    first.bias = Parameter([0.0])
    nn.SGD([*first.parameters(), *second.parameters()], lr=0.1)
    with pytest.raises(ShapeError):
        first(np.zeros((1, 2)))
