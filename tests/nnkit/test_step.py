"""Captured training is plain training: the same bits, whatever is trained and edited on the way."""

import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnkit as nn
from nnkit.errors import DataError, ShapeError
from nnkit.losses import LOSSES
from nnkit.optim import OPTIMIZERS
from nnkit.program import Program
from nnkit.step import TrainingStep
from tests.nnkit.numeric import assert_same_bits
from tests.nnkit.twins import (
    ACTIVATION_MAKERS,
    Training,
    Twins,
)

# Whatever is trained ------------------------------------------------------------------------------

layers = st.fixed_dictionaries(
    {
        "units": st.integers(1, 5),
        "activation": st.sampled_from(sorted(ACTIVATION_MAKERS)),
        "inside": st.booleans(),
        "bias": st.booleans(),
        "norm": st.sampled_from(["none", "none", "batch", "layer"]),
        "dropout": st.sampled_from([0.0, 0.0, 0.4]),
    }
)

penalties = {
    "weight_decay": st.sampled_from([0.0, 0.1]),
    "l1": st.sampled_from([0.0, 0.01]),
    "clip_norm": st.sampled_from([None, 0.1]),
    "clip_value": st.sampled_from([None, 0.05]),
    "lr": st.sampled_from([0.01, 0.1]),
}
own_options = {
    "sgd": st.sampled_from(
        [
            {},
            {"momentum": 0.9},
            {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.5, "dampening": 0.3},
        ]
    ),
    "adam": st.sampled_from([{}, {"betas": (0.8, 0.9)}, {"eps": 1e-3}]),
    "adamw": st.sampled_from([{}, {"betas": (0.8, 0.9)}, {"eps": 1e-3}]),
    "rmsprop": st.fixed_dictionaries(
        {
            "momentum": st.sampled_from([0.0, 0.7]),
            "centered": st.booleans(),
            "alpha": st.sampled_from([0.99, 0.5]),
        }
    ),
    "adagrad": st.sampled_from([{}, {"lr_decay": 0.01}, {"initial_accumulator_value": 0.1}]),
    "adadelta": st.sampled_from([{}, {"rho": 0.5, "eps": 1e-3}]),
}
group_options = st.lists(
    st.fixed_dictionaries({}, optional={k: penalties[k] for k in ("lr", "weight_decay", "l1")}),
    min_size=2,
    max_size=3,
)


#: What the inputs meet first.
STARTS = ["", "", "batch", "layer", "tanh"]


@st.composite
def trainings(draw: st.DrawFn) -> Training:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    loss = draw(st.sampled_from(sorted(LOSSES)))
    structure = draw(st.lists(layers, max_size=3))
    outputs = draw(st.integers(2, 4)) if loss == "cross_entropy" else draw(st.integers(1, 2))
    head = "sigmoid" if loss == "bce" else draw(st.sampled_from([None, None, "tanh"]))
    loss_options = {"reduction": draw(st.sampled_from(["mean", "mean", "sum"]))}
    if loss == "huber":
        loss_options["delta"] = draw(st.sampled_from([0.5, 1.0]))
    optimizer = draw(st.sampled_from(sorted(OPTIMIZERS)))
    options = draw(st.fixed_dictionaries(penalties)) | draw(own_options[optimizer])
    groups = draw(st.just([]) | group_options)
    batched = any(layer["norm"] == "batch" for layer in structure)
    n = draw(st.integers(2 + batched, 12))
    batch_size = draw(st.integers(1 + batched, n))
    if batched and n % batch_size == 1:
        batch_size = n
    starts = ["", "", "layer", "tanh"] if batch_size < 2 or n % batch_size == 1 else STARTS
    return Training(
        network={
            "start": draw(st.sampled_from(starts)),
            "layers": structure,
            "outputs": outputs,
            "head": head,
            "dtype": dtype,
        },
        loss={"name": loss, **loss_options},
        optimizer={"name": optimizer, "options": options, "groups": groups},
        data={"loss": loss, "n": n, "inputs": draw(st.integers(1, 3)), "outputs": outputs},
        batches={
            "batch_size": batch_size,
            "epochs": draw(st.integers(1, 4)),
            "seed": draw(st.none() | st.integers(0, 9)),
        },
    )


@settings(max_examples=150, deadline=None)
@given(trainings())
def test_captured_steps_are_plain_steps(training):
    twins = Twins(training.build)
    for _ in range(2):
        twins.train(*training.examples(), **training.batches)
    twins.assert_captured()


RICH = {
    "sgd": {"momentum": 0.9, "nesterov": True},
    "adam": {"betas": (0.8, 0.99)},
    "adamw": {"weight_decay": 0.1},
    "rmsprop": {"momentum": 0.5, "centered": True},
    "adagrad": {"lr_decay": 0.013},
    "adadelta": {},
}


def rich_network(optimizer: str = "adam", dtype=np.float32, **options):
    """Every kind of layer, and groups with rates and penalties of their own."""
    rng = np.random.default_rng(1)

    def build():
        model = nn.Sequential(
            nn.Linear(2, 6, nn.Tanh(), generator=rng, dtype=dtype),
            nn.BatchNorm(6, dtype=dtype),
            nn.Dropout(0.2, generator=np.random.default_rng(2)),
            nn.Linear(6, 4, nn.GELU(), generator=rng, dtype=dtype),
            nn.LayerNorm(4, dtype=dtype),
            nn.Linear(4, 1, generator=rng, dtype=dtype),
        )
        model.reset_parameters(np.random.default_rng(3))
        groups = [
            {"params": list(model[0].parameters()) + list(model[1].parameters()), "lr": 0.02},
            {"params": model[3].parameters(), "weight_decay": 0.01, "l1": 0.001},
            {"params": list(model[4].parameters()) + list(model[5].parameters())},
        ]
        made = OPTIMIZERS[optimizer](groups, **({"lr": 0.01} | RICH[optimizer] | options))
        return model, nn.BinaryCrossEntropyWithLogits(), made

    return build


def two_classes(n: int = 50, dtype=np.float32):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, 2)).astype(dtype)
    return x, (x[:, :1] * x[:, 1:] > 0).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_hundreds_of_steps(optimizer, dtype):
    """300 in one go and 60 in small pieces: across chunks, and across the cleaning of memories."""
    x, y = two_classes(dtype=dtype)
    twins = Twins(rich_network(optimizer, dtype, clip_norm=0.5))
    losses = twins.train(x, y, batch_size=10, epochs=60, seed=1)
    assert losses.shape == (300,)
    for i in range(10):
        twins.train(x, y, batch_size=16, epochs=1 + i % 3, seed=i)
    twins.assert_captured()
    assert losses[-20:].mean() < losses[:20].mean()


def test_single_steps_return_the_loss_before_the_step():
    x, y = two_classes()
    twins = Twins(rich_network())
    for i in range(30):
        batch = slice(10 * (i % 5), 10 * (i % 5) + 10)
        losses = [step(x[batch], y[batch]) for step in twins.steps]
        assert type(losses[0]) is float
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
        twins.compare()
    twins.assert_captured()


@pytest.mark.parametrize("memory_order", ["C", "F", "strided", "list", "tensor", "float64", "int"])
def test_data_in_any_form(memory_order):
    x, y = two_classes()
    x = np.round(x * 3)
    forms = {
        "C": x,
        "F": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=0)[::2],
        "list": x.tolist(),
        "tensor": nn.Tensor(x),
        "float64": x.astype(np.float64),
        "int": x.astype(int),
    }
    twins = Twins(rich_network())
    reference = Twins(rich_network())
    twins.train(forms[memory_order], y, batch_size=16, epochs=3, seed=0)
    reference.train(x, y, batch_size=16, epochs=3, seed=0)
    twins.assert_captured()
    for name, value in twins.captured.model.state_dict().items():
        assert_same_bits(value, reference.captured.model.state_dict()[name])


def test_inputs_of_other_dimensions():
    """Vectors, and stacks that a layer flattens."""
    rng = np.random.default_rng(0)

    def build():
        model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3, "relu"), nn.Linear(3, 2))
        model.reset_parameters(np.random.default_rng(0))
        return model, nn.MSE(), nn.Adam(model.parameters(), lr=0.01)

    twins = Twins(build)
    twins.train(rng.normal(size=(7, 2, 3)), rng.normal(size=(7, 2)), batch_size=3, epochs=4, seed=1)
    twins.assert_captured()


def test_wide_layers_across_the_blocks_of_the_optimizer():
    x, y = two_classes(8)

    def build():
        model = nn.Sequential(nn.Linear(2, 150, "relu"), nn.Linear(150, 150), nn.Linear(150, 1))
        model.reset_parameters(np.random.default_rng(0))
        groups = [
            {"params": model[0].parameters(), "lr": 0.1},
            {"params": [*model[1].parameters(), *model[2].parameters()], "weight_decay": 0.1},
        ]
        return model, nn.MSE(), nn.AdamW(groups, lr=0.01, clip_norm=1.0)

    twins = Twins(build)
    twins.train(x, y, batch_size=4, epochs=3)
    twins.assert_captured()


@pytest.mark.parametrize("frozen", [[0], [3], [5], [0, 5], [1, 3]])
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1, "weight_decay": 0.1}])
def test_frozen_layers(frozen, options):
    def build():
        model, loss, optimizer = rich_network(**options)()
        for i in frozen:
            for p in model[i].parameters():
                p.requires_grad = False
        return model, loss, optimizer

    x, y = two_classes()
    twins = Twins(build)
    twins.train(x, y, batch_size=16, epochs=4, seed=0)
    twins.assert_captured()


def test_an_optimizer_over_a_part_of_the_model():
    def build():
        model, loss, _ = rich_network()()
        return model, loss, nn.Adam(model[3].parameters(), lr=0.05, l1=0.01)

    x, y = two_classes()
    twins = Twins(build)
    twins.train(x, y, batch_size=16, epochs=4, seed=0)
    twins.assert_captured()


def test_tied_weights():
    def build():
        first, second = nn.Linear(2, 2, "tanh"), nn.Linear(2, 2)
        second.weight = first.weight
        model = nn.Sequential(first, second, first, nn.Linear(2, 1))
        model.reset_parameters(np.random.default_rng(0))
        return model, nn.BinaryCrossEntropyWithLogits(), nn.Adam(model.parameters(), lr=0.05)

    x, y = two_classes()
    twins = Twins(build)
    twins.train(x, y, batch_size=16, epochs=4, seed=0)
    twins.assert_captured()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_options_as_numpy_numbers_are_captured_too(optimizer):
    def build():
        model, loss, made = rich_network(
            optimizer, **{k: np.float64(0.1) for k in ("lr", "weight_decay", "l1", "clip_norm")}
        )()
        return model, loss, made

    x, y = two_classes()
    twins = Twins(build)
    twins.train(x, y, batch_size=16, epochs=2)
    twins.edit(lambda step: step.optimizer.param_groups[1].update(weight_decay=np.float64(0.2)))
    twins.edit(lambda step: setattr(step.optimizer, "lr", np.float64(0.02)))
    twins.train(x, y, batch_size=16, epochs=2)
    twins.assert_captured()


# Whatever is edited between steps -----------------------------------------------------------------


def set_rate(step, i):
    step.optimizer.lr = (0.0, 0.003, 0.1)[i % 3]


def set_rate_of_a_group(step, i):
    groups = step.optimizer.param_groups
    groups[i % len(groups)]["lr"] = 0.01 * (1 + i % 4)


def set_decay(step, i):
    groups = step.optimizer.param_groups
    groups[i % len(groups)]["weight_decay"] = (0.0, 0.3)[i % 2]


def set_l1(step, i):
    for group in step.optimizer.param_groups:
        group["l1"] = (0.02, 0.0)[i % 2]


def set_clipping(step, i):
    step.optimizer.clip_norm = (None, 0.3, 0.02)[i % 3]
    step.optimizer.clip_value = (0.01, None)[i % 2]


def set_rule(step, i):
    step.optimizer.betas = ((0.7, 0.9), (0.9, 0.999))[i % 2]


def set_epsilon(step, i):
    step.optimizer.eps = (1e-3, 1e-8)[i % 2]


def assign_weights(step, i):
    p = list(step.model.parameters())[i % 6]
    p.data = np.random.default_rng(i).normal(size=p.shape)


def write_into_weights(step, i):
    p = list(step.model.parameters())[i % 6]
    p.data[...] = 0.5
    p.data *= 1.25


def load_model(step, i):
    state = step.model.state_dict()
    step.model.load_state_dict({name: value * 0.9 for name, value in state.items()})


def load_optimizer(step, i):
    state = step.optimizer.state_dict()
    step.optimizer.load_state_dict({"steps": i % 200, "memory": state["memory"] * 0.5})


def replace_activation(step, i):
    step.model[0].activation = (nn.ReLU(), nn.Sigmoid(), None)[i % 3]


def replace_layer(step, i):
    step.model.layers[2] = (nn.Identity(), nn.Dropout(0.5, generator=np.random.default_rng(i)))[
        i % 2
    ]


def change_activation_option(step, i):
    step.model[3].activation = nn.ELU(1.0)
    step.model[3].activation.options["alpha"] = 0.25 * (1 + i % 3)


def insert_layer(step, i):
    if len(step.model.layers) == 6:
        step.model.layers.insert(2, nn.Tanh())


def remove_layer(step, i):
    if len(step.model.layers) > 6:
        del step.model.layers[2]


def freeze(step, i):
    for p in step.model[0].parameters():
        p.requires_grad = i % 2 == 0


def freeze_one(step, i):
    p = list(step.model.parameters())[i % 6]
    p.requires_grad = not p.requires_grad


def set_dropout(step, i):
    for module in step.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = (0.0, 0.3, 0.6)[i % 3]


def reseed_dropout(step, i):
    for module in step.model.modules():
        if isinstance(module, nn.Dropout):
            module.generator = np.random.default_rng(i)


def flip_mode(step, i):
    step.model.train(i % 2 == 0)


def flip_mode_of_one(step, i):
    step.model[1].train(i % 2 == 0)


def set_momentum(step, i):
    step.model[1].momentum = (0.5, 0.1)[i % 2]
    step.model[1].eps = (1e-2, 1e-5)[i % 2]


def write_into_buffers(step, i):
    step.model[1].running_mean[...] = i % 5
    step.model[1].running_var += 1


def replace_buffers(step, i):
    step.model[1].running_mean = np.full(6, float(i % 5), np.float32)


def replace_parameter(step, i):
    """By one that the optimizer does not know: it stays as it is from now on."""
    old = step.model[5].weight
    step.model[5].weight = nn.Parameter(old.data.copy())


def replace_bias_of_one_number(step, i):
    """By a new parameter of the same value."""
    step.model[5].bias = nn.Parameter(step.model[5].bias.data.copy())


def set_reduction(step, i):
    step.loss.reduction = ("sum", "mean")[i % 2]


def replace_loss(step, i):
    step.loss = (nn.MSE(), nn.BinaryCrossEntropyWithLogits(), nn.Huber(delta=0.5))[i % 3]


def replace_optimizer(step, i):
    step.optimizer = nn.SGD(step.model.parameters(), lr=0.01, momentum=0.5)


def replace_model(step, i):
    rng = np.random.default_rng(i)
    step.model = nn.Sequential(
        nn.Linear(2, 6, "tanh", generator=rng), nn.BatchNorm(6), nn.Dropout(0.0, generator=rng),
        nn.Linear(6, 4, generator=rng), nn.LayerNorm(4), nn.Linear(4, 1, generator=rng),
    )  # fmt: skip
    step.optimizer = nn.Adam(step.model.parameters(), lr=0.01)


def other_optimizer_takes_a_turn(step, i):
    other = nn.SGD(step.model.parameters(), lr=0.01)
    x, y = two_classes(8)
    loss = nn.mse_loss(step.model(x), y)
    other.zero_grad()
    loss.backward()
    other.step()


def step_by_hand(step, i):
    x, y = two_classes(8)
    step.optimizer.zero_grad()
    step.loss(step.model(x), y).backward()
    step.optimizer.step()


def step_in_manual_style(step, i):
    x, y = two_classes(8)
    step.loss(step.model(x), y)
    step.model.backward(step.loss.backward())
    step.model.update_weights(0.01)


def reset(step, i):
    step.model.reset_parameters(np.random.default_rng(i))


def predict(step, i):
    step.model(np.ones((3, 2)))


def without_capture_for_a_while(step, i):
    was, step.capture = step.capture, False
    step(*two_classes(8))
    step.capture = was


EDITS = [
    set_rate, set_rate_of_a_group, set_decay, set_l1, set_clipping, set_rule, set_epsilon,
    assign_weights, write_into_weights, load_model, load_optimizer, replace_activation,
    replace_layer, change_activation_option, insert_layer, remove_layer, freeze, freeze_one,
    set_dropout, reseed_dropout, flip_mode, flip_mode_of_one, set_momentum, write_into_buffers,
    replace_buffers, replace_parameter, replace_bias_of_one_number, set_reduction, replace_loss,
    replace_optimizer, replace_model, other_optimizer_takes_a_turn, step_by_hand,
    step_in_manual_style, reset, predict, without_capture_for_a_while,
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_each_edit_counts_from_the_next_step(edit):
    x, y = two_classes(20)
    twins = Twins(rich_network(weight_decay=0.0))
    twins.train(x, y, batch_size=8, epochs=2, seed=0)
    for i in range(4):
        twins.edit(lambda step, i=i: edit(step, i))
        twins.train(x, y, batch_size=8, epochs=1, seed=i)
    twins.assert_captured()


rich_edits = st.tuples(st.sampled_from(EDITS), st.integers(0, 20), st.sampled_from([3, 8, 10, 20]))


@settings(max_examples=60, deadline=None)
@given(st.lists(rich_edits, min_size=1, max_size=6))
def test_edits_in_any_order_keep_the_two_equal(edits):
    """With the batch size changing too."""
    x, y = two_classes(20)
    twins = Twins(rich_network(weight_decay=0.0))
    twins.train(x, y, batch_size=8)
    for edit, i, batch_size in edits:
        if edit in (set_rule, set_epsilon) and not hasattr(twins.captured.optimizer, "betas"):
            continue
        twins.edit(lambda step, edit=edit, i=i: edit(step, i))
        twins.train(x, y, batch_size=batch_size, seed=i)


def test_a_gradient_left_over_is_not_trained_on():
    x, y = two_classes(8)
    twins = Twins(rich_network())
    twins.train(x, y)
    twins.edit(lambda step: nn.mse_loss(step.model(x), y).backward())
    twins.train(x, y)


def test_after_a_captured_step_gradients_can_be_computed_by_hand():
    x, y = two_classes(8)
    twins = Twins(rich_network())
    twins.train(x, y)
    grads = []
    for step in twins.steps:
        step.model.zero_grad()
        step.loss(step.model(x), y).backward()
        grads.append([p.grad for p in step.model.parameters()])
    for one, other in zip(*grads, strict=True):
        assert_same_bits(one, other)


def test_a_loss_from_before_a_captured_step_cannot_be_walked_any_more():
    x, y = two_classes(8)
    for step in Twins(rich_network()).steps:
        step(x, y)
        loss = step.loss(step.model.eval()(x), y)
        step.model.train()
        step(x, y)
        with pytest.raises(nn.errors.GraphError, match="changed after the forward pass"):
            loss.backward()


# What cannot be trained ---------------------------------------------------------------------------


class TestRefused:
    def test_targets_that_do_not_fit_are_refused_alike(self):
        x, y = two_classes(8)
        for wrong in (y[:, 0], np.concatenate([y, y], axis=1)):
            twins = Twins(rich_network())
            messages = []
            for step in twins.steps:
                with pytest.raises(ShapeError) as caught:
                    step(x, wrong)
                messages.append(str(caught.value))
            assert messages[0] == messages[1]
            twins.compare()

    @pytest.mark.parametrize("after", [0, 2])
    def test_classes_out_of_range_are_refused_before_anything_changes(self, after):
        """Also once the step is captured."""
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(6, 2)), rng.integers(0, 3, 6)

        def build():
            model = nn.Linear(2, 3, generator=np.random.default_rng(0))
            return model, nn.CrossEntropy(), nn.Adam(model.parameters())

        twins = Twins(build)
        for _ in range(after):
            twins.train(x, y, batch_size=3)
        before = twins.captured.model.state_dict()
        for step in twins.steps:
            with pytest.raises(ShapeError, match="from 0 to 2"):
                step(x[:3], [0, 3, 1])
        for name, value in twins.captured.model.state_dict().items():
            assert_same_bits(value, before[name])
        twins.train(x, y, batch_size=3)

    def test_probabilities_that_are_none_are_refused_alike(self):
        """Where training itself drives predictions out of [0, 1] after some steps."""
        x = np.ones((4, 1), np.float32)

        def build():
            model = nn.Linear(1, 1, generator=np.random.default_rng(0))
            model.weight.data, model.bias.data = [[0.5]], [0.0]
            return model, nn.BinaryCrossEntropy(), nn.SGD(model.parameters(), lr=0.1)

        for step in Twins(build).steps:
            with pytest.raises(ShapeError, match="probabilities between 0 and 1"):
                for _ in range(20):
                    step(x, np.ones((4, 1)))

    @pytest.mark.parametrize("capture", [True, False])
    def test_data_that_does_not_match(self, capture):
        step = TrainingStep(*rich_network()(), capture=capture)
        x, y = two_classes(8)
        for wrong in ((x, y[:7]), (x[:0], y[:0])):
            with pytest.raises(DataError, match="as many targets as examples"):
                step.epochs(*wrong)

    @pytest.mark.parametrize("capture", [True, False])
    def test_a_batch_of_one_under_batch_normalization(self, capture):
        step = TrainingStep(*rich_network()(), capture=capture)
        x, y = two_classes(9)
        with pytest.raises(ShapeError, match="at least two examples"):
            step.epochs(x, y, batch_size=8)

    @pytest.mark.parametrize("capture", [True, False])
    @pytest.mark.parametrize("batch_size", [3, 8])
    def test_no_epochs_are_no_losses(self, capture, batch_size):
        step = TrainingStep(*rich_network()(), capture=capture)
        losses = step.epochs(
            *two_classes(8), batch_size=batch_size, epochs=0, generator=np.random.default_rng(0)
        )
        assert losses.shape == (0,)

    @pytest.mark.parametrize("capture", [True, False])
    def test_a_loss_of_many_numbers(self, capture):
        model = nn.Linear(2, 1)
        step = TrainingStep(model, nn.MSE("none"), nn.SGD(model.parameters()), capture=capture)
        with pytest.raises(ShapeError, match="needs the gradient to start from"):
            step(*two_classes(8))


# Batches and shuffling ----------------------------------------------------------------------------


@pytest.mark.parametrize("capture", [True, False])
class TestBatches:
    def recording_step(self, capture, rate=0.0):
        """A step whose loss is the mean of its batch's targets."""
        model = nn.Linear(1, 1)
        model.weight.data = [[0.0]]
        return TrainingStep(model, nn.L1(), nn.SGD(model.parameters(), lr=rate), capture=capture)

    def test_the_last_one_is_shorter(self, capture):
        step = self.recording_step(capture)
        y = np.arange(1.0, 11)[:, None]
        losses = step.epochs(np.zeros((10, 1)), y, batch_size=4, epochs=2)
        np.testing.assert_allclose(losses, [2.5, 6.5, 9.5] * 2)

    def test_each_epoch_takes_every_example_once_in_another_order(self, capture):
        step = self.recording_step(capture)
        y = 2.0 ** np.arange(8)[:, None]
        losses = step.epochs(
            np.zeros((8, 1)), y, batch_size=1, epochs=20, generator=np.random.default_rng(0)
        ).reshape(20, 8)
        np.testing.assert_array_equal(np.sort(losses, axis=1), np.tile(y[:, 0], (20, 1)))
        assert len({tuple(order) for order in losses}) == 20

    def test_same_seed_same_order_and_pieces_make_the_whole(self, capture):
        y = 2.0 ** np.arange(6)[:, None]
        runs = []
        for pieces in ([4], [1, 3], [1, 1, 1, 1]):
            step, generator = self.recording_step(capture), np.random.default_rng(3)
            runs.append(
                np.concatenate(
                    [
                        step.epochs(
                            np.zeros((6, 1)), y, batch_size=4, epochs=e, generator=generator
                        )
                        for e in pieces
                    ]
                )
            )
        np.testing.assert_array_equal(runs[0], runs[1])
        np.testing.assert_array_equal(runs[0], runs[2])

    def test_sizes_beyond_the_data_take_all(self, capture):
        step = self.recording_step(capture)
        y = np.arange(1.0, 4)[:, None]
        for size in (3, 10, None):
            np.testing.assert_allclose(step.epochs(np.zeros((3, 1)), y, batch_size=size), [2.0])

    def test_data_changed_between_calls_is_seen(self, capture):
        step = self.recording_step(capture)
        x, y = np.zeros((4, 1), np.float32), np.ones((4, 1), np.float32)
        assert step(x, y) == 1.0
        y[...] = 5
        assert step(x, y) == 5.0
        assert (x == 0).all()


# Memory -------------------------------------------------------------------------------------------


class TestMemory:
    def test_a_replayed_step_allocates_nothing(self):
        """All arrays are there before the loop, and 250 steps need no more room than 100.

        Python keeps up to 80 dicts for reuse; after the first hundred steps it has them.
        """
        model, loss, optimizer = rich_network()()
        step = TrainingStep(model, loss, optimizer)
        x, y = two_classes(64)
        step.epochs(x, y, batch_size=4, epochs=16)
        (plan,) = step._plans.values()
        assert len(plan.steps) >= 250
        tracemalloc.start()
        try:
            peaks = []
            for count in (100, 100, 250):
                batches, steps = plan.batches[:count], plan.steps[:count]
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                with np.errstate(all="ignore"):
                    plan.loop(batches, steps)
                peaks.append(tracemalloc.get_traced_memory()[1] - before)
        finally:
            tracemalloc.stop()
        assert peaks[2] < peaks[1] + 500
        assert peaks[2] < 20_000

    @pytest.mark.parametrize("capture", [True, False])
    def test_nothing_grows_with_the_number_of_epochs(self, capture):
        step = TrainingStep(*rich_network()(), capture=capture)
        x, y = two_classes(50)
        generator = np.random.default_rng(0)
        tracemalloc.start()
        try:
            held = []
            for epochs in (5, 5, 40):
                for _ in range(epochs):
                    step.epochs(x, y, batch_size=8, generator=generator)
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert held[2] - held[1] < 2_000

    def test_edits_do_not_pile_up_old_captures(self):
        """Counted, since the interpreter's own tables grow by megabytes at a time."""
        step = TrainingStep(*rich_network()())
        x, y = two_classes(50)
        alive = []
        for rounds in (6, 18):
            for i in range(rounds):
                replace_activation(step, i)
                set_decay(step, i)
                step.epochs(x, y, batch_size=8)
            gc.collect()
            alive.append(sum(isinstance(thing, Program) for thing in gc.get_objects()))
        assert len(step._plans) == 2
        assert alive[1] <= alive[0]


def test_reason_tells_why_a_step_runs_plainly_and_only_then():
    model, loss, optimizer = rich_network()()
    assert TrainingStep(model, loss, optimizer, capture=False).reason == "capture=False"
    step = TrainingStep(model, lambda p, t: nn.mse_loss(p, t) * float(p.mean()), optimizer)
    step(*two_classes(8))
    assert step.reason == "a forward pass looked at values"
    step.loss = nn.MSE()
    step(*two_classes(8))
    assert step.reason == ""


@pytest.mark.parametrize("capture", [True, False])
def test_targets_without_a_meaning_are_refused_before_anything_changes(capture):
    model = nn.Linear(2, 1, generator=np.random.default_rng(0))
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    step = TrainingStep(model, nn.BinaryCrossEntropyWithLogits(), optimizer, capture=capture)
    before = model.weight.data.copy()
    with pytest.raises(ShapeError, match="from 0 to 1"):
        step.epochs(np.ones((4, 2)), np.full((4, 1), -1.0), batch_size=2)
    assert_same_bits(model.weight.data, before)


@pytest.mark.parametrize(("samples", "batch_size"), [(600, 100), (100, 100)])
def test_large_batches_are_laid_out_a_few_at_a_time(samples, batch_size):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 3000)).astype(np.float32)
    y = rng.normal(size=(samples, 1)).astype(np.float32)
    losses = []
    for capture in (True, False):
        model = nn.Linear(3000, 1, generator=np.random.default_rng(1))
        optimizer = nn.SGD(model.parameters(), lr=1e-4)
        step = TrainingStep(model, nn.MSE(), optimizer, capture=capture)
        losses.append(step.epochs(x, y, batch_size=batch_size, epochs=3000 // samples))
        if capture:
            (plan,) = step._plans.values()
            assert 1 < plan.capacity < len(losses[0])
            assert plan.capacity * batch_size * 3000 <= 2**22
    assert_same_bits(*losses)
