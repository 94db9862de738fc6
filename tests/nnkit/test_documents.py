"""The five documents that nnkit grew from: their programs, as written but for imports and data.

Each class is a document, each test one of its code blocks (or of its promises in words), in order.
What the documents call `nn` is `nnkit` here, and examples are rows everywhere.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nnkit
from nnkit import (
    MSE,
    SGD,
    Adam,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Linear,
    Module,
    NeuralNetwork,
    ReLU,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    StepLR,
    Tanh,
    Tensor,
    accuracy,
    create_network,
    gradient_check,
    make_dataset,
    no_grad,
    train_one_step,
    twospirals,
    update_module,
)
from nnkit.errors import GraphError, ShapeError

# Document 1: a library of modules ---------------------------------------------------------------


class Model(Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc_0 = Linear(3, 4, ReLU())
        self.fc_1 = Linear(4, 4, ReLU())
        self.fc_output = Linear(4, 1, Sigmoid())
        self.layers = [self.fc_0, self.fc_1, self.fc_output]

    def forward(self, x: NDArray) -> NDArray:
        x = self.fc_0(x)
        x = self.fc_1(x)
        x = self.fc_output(x)
        return x

    def backward(self, grad_output: NDArray):
        """Backpropagate gradients through all layers"""
        grad = grad_output
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad

    def update_weights(self, learning_rate: float):
        """Update weights for all layers"""
        for layer in self.layers:
            layer.update_weights(learning_rate)

    def zero_gradients(self):
        """Reset gradients to zero"""
        for layer in self.layers:
            layer.grad_weights.fill(0)
            layer.grad_biases.fill(0)


class TestModuleLibrary:
    def test_the_program(self, capsys: pytest.CaptureFixture[str]) -> None:
        # 1. Create Model Instance
        model = Model()
        model.reset_parameters(np.random.default_rng(0))

        # 2. Prepare Training Data
        # Example XOR-like problem
        X_train = np.array([[0, 0, 1],
                            [0, 1, 0],
                            [1, 0, 0],
                            [1, 1, 1]], dtype=np.float32)  # fmt: skip
        y_train = np.array([[0], [1], [1], [0]], dtype=np.float32)

        # 3. Set Training Parameters
        learning_rate = 0.1
        epochs = 1000
        criterion = BinaryCrossEntropy()

        # 4. Training Loop
        for epoch in range(epochs):
            # Reset gradients
            model.zero_gradients()

            # Forward pass
            predictions = model(X_train)

            # Compute loss
            loss = criterion(predictions, y_train)

            # Compute loss gradient
            loss_gradient = criterion.backward()

            # Backward pass
            model.backward(loss_gradient)

            # Update weights
            model.update_weights(learning_rate)

            # Calculate accuracy
            acc = accuracy(predictions, y_train)

            # Print progress every 100 epochs
            if epoch % 100 == 0:
                print(f"Epoch {epoch}, Loss: {loss:.4f}, Accuracy: {acc:.4f}")

        # 5. Make Predictions
        # Test the trained model
        final_predictions = model(X_train)
        for i, (input_val, pred, true) in enumerate(  # noqa: B007
            zip(X_train, final_predictions, y_train)  # noqa: B905
        ):
            print(f"Input: {input_val}, Predicted: {pred[0]:.4f}, True: {true[0]}")

        lines = capsys.readouterr().out.splitlines()
        losses = [float(line.split("Loss: ")[1].split(",")[0]) for line in lines[:10]]
        assert losses == sorted(losses, reverse=True) and losses[-1] < 0.05
        assert lines[9].endswith("Accuracy: 1.0000")
        assert re.fullmatch(r"Input: \[1\. 1\. 1\.\], Predicted: 0\.0\d+, True: 0\.0", lines[-1])

    def test_what_is_written_by_hand_is_what_module_does_by_itself(self) -> None:
        class Short(Module):
            def __init__(self) -> None:
                self.fc_0 = Linear(3, 4, ReLU())
                self.fc_1 = Linear(4, 4, ReLU())
                self.fc_output = Linear(4, 1, Sigmoid())

            def forward(self, x: Any) -> Any:
                return self.fc_output(self.fc_1(self.fc_0(x)))

        x = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
        y = (x[:, :1] > 0).astype(np.float32)
        results = []
        for model in (Model(), Short()):
            model.reset_parameters(np.random.default_rng(0))
            criterion = BinaryCrossEntropy()
            for _ in range(5):
                model.zero_gradients()
                criterion(model(x), y)
                towards_input = model.backward(criterion.backward())
                model.update_weights(0.1)
            results.append([towards_input, *model.state_dict().values()])
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_customization(self) -> None:
        for activation in (Tanh(), "gelu", nnkit.leaky_relu):
            for loss in (MSE(), BinaryCrossEntropyWithLogits(), nnkit.Huber()):
                model = Sequential(Linear(2, 3, activation), Linear(3, 1))
                train_one_step(model, loss, 0.1, np.ones((4, 2)), np.ones((4, 1)))


# Document 2: a framework ------------------------------------------------------------------------


def create_custom_network() -> Sequential:
    module_list = [
        Linear(input_size=2, output_size=50),
        Tanh(),
        Linear(input_size=50, output_size=30),
        Tanh(),
        Linear(input_size=30, output_size=10),  # Add or modify layers as needed
        Sigmoid()
    ]  # fmt: skip
    custom_network = Sequential(module_list)
    return custom_network


def load_new_dataset() -> tuple[NDArray, NDArray]:
    X, T = twospirals(100, noise=0.05)
    return X, np.repeat(T, 10, axis=1)


class TestFramework:
    def test_train_and_predict(self) -> None:
        num_epochs, learning_rate = 30, 1.0
        new_X, new_T = load_new_dataset()  # Load or prepare your new dataset
        new_network = create_custom_network()
        new_loss = MSE()

        errors = []
        for epoch in range(num_epochs):  # noqa: B007
            error = train_one_step(new_network, new_loss, learning_rate, new_X, new_T)
            errors.append(error)

        new_data_for_prediction = new_X[:7]
        prediction = new_network.forward(new_data_for_prediction)

        assert all(isinstance(error, float) for error in errors) and errors[-1] < errors[0]
        assert prediction.shape == (7, 10) and 0 < np.min(prediction) < np.max(prediction) < 1

    def test_components_have_forward_and_backward(self) -> None:
        x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
        grad = np.ones((4, 3), np.float32)
        y = Tanh().forward(x)
        tanh = Tanh()
        np.testing.assert_array_equal(tanh.forward(x), y)
        np.testing.assert_allclose(tanh.backward(grad), 1 - np.tanh(x) ** 2, rtol=1e-6)
        layer = Linear(input_size=3, output_size=2)
        layer.forward(x)
        np.testing.assert_allclose(layer.backward(grad[:, :2]), grad[:, :2] @ layer.weights.data)
        network = create_network((3, 4, 1))
        network.forward(x)
        assert network.backward(np.ones((4, 1))).shape == x.shape
        loss = MSE()
        assert loss.forward(x, 0 * x).item() == pytest.approx(np.mean(x**2))
        np.testing.assert_allclose(loss.backward(), 2 * x / x.size, rtol=1e-6)

    def test_gradient_check_then_training(self) -> None:
        X, T = twospirals(30)
        network, loss = create_network(generator=np.random.default_rng(0)), MSE()
        report = gradient_check(network, loss, X, T, max_entries=5)
        assert report.ok
        assert "analytic" in str(report) and "numeric" in str(report)
        before = loss(network(X), T).item()
        network.backward(loss.backward())
        update_module(network, 0.5)
        assert loss(network(X), T).item() < before


# Document 3: layers, and weights on disk --------------------------------------------------------


class TestLayersAndFiles:
    def test_layer_is_the_base_of_all(self) -> None:
        for part in (Linear(2, 1), Sigmoid(), ReLU(), BinaryCrossEntropy(), Sequential()):
            assert isinstance(part, Layer)
        assert Layer is Module

    def test_linear_is_x_w_transposed_plus_b(self) -> None:
        x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
        layer = Linear(3, 2)
        w, b = layer.weights.data, layer.biases.data
        assert w.shape == (2, 3) and b.shape == (2,)
        np.testing.assert_allclose(layer.forward(x).data, x @ w.T + b, rtol=1e-6)
        grad = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
        np.testing.assert_allclose(layer.backward(grad), grad @ w, rtol=1e-5)
        np.testing.assert_allclose(layer.grad_weights, grad.T @ x, rtol=1e-5)
        np.testing.assert_allclose(layer.grad_biases, grad.sum(axis=0), rtol=1e-5)

    def test_a_layer_of_ones_own_in_a_sequence(self) -> None:
        class Square(Layer):
            def forward(self, x: Any) -> Any:
                return x * x

        model = Sequential(Linear(2, 3), Square(), Linear(3, 1))
        assert gradient_check(model, MSE(), [[0.5, -1.0]], [[1.0]]).ok

    def test_sequential_is_appended_to(self) -> None:
        model = Sequential()
        model.append(Linear(2, 3))
        model.append(Sigmoid())
        model.append(Linear(3, 1))
        assert len(model) == 3 and model(np.zeros((4, 2))).shape == (4, 1)

    def test_weights_are_saved_to_npz_and_loaded(self, tmp_path: Path) -> None:
        model = Sequential(Linear(2, 3, ReLU()), Linear(3, 1))
        model.save(tmp_path / "w.npz")
        other = Sequential(Linear(2, 3, ReLU()), Linear(3, 1))
        other.load(str(tmp_path / "w.npz"))
        x = np.random.default_rng(0).normal(size=(5, 2))
        np.testing.assert_array_equal(other(x), model(x))


# Document 4: automatic differentiation ----------------------------------------------------------


class TestAutograd:
    def test_tensor(self, capsys: pytest.CaptureFixture[str]) -> None:
        from nnkit import Tensor

        # Create tensors with gradient tracking
        x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = Tensor([2.0, 3.0, 4.0], requires_grad=True)

        # Perform operations
        z = x * y + x
        loss = z.sum()

        # Backpropagate
        loss.backward()

        # Access gradients
        print(x.grad)  # Gradient of loss w.r.t. x
        print(y.grad)  # Gradient of loss w.r.t. y

        assert capsys.readouterr().out == "[3. 4. 5.]\n[1. 2. 3.]\n"

    def test_layers(self) -> None:
        from nnkit import Dense, Sequential, relu

        input_tensor = Tensor(np.random.default_rng(0).normal(size=(5, 784)))

        # Create a fully connected layer
        layer = Dense(in_features=784, out_features=128, use_bias=True, activation=relu)

        # Forward pass
        output = layer(input_tensor)

        assert output.shape == (5, 128) and np.min(output) == 0

        # Stack multiple layers
        model = Sequential(
            Dense(784, 256, activation=relu),
            Dense(256, 128, activation=relu),
            Dense(128, 10, activation=None)  # No activation for logits
        )  # fmt: skip

        assert model(input_tensor).shape == (5, 10)
        bare = Dense(in_features=4, out_features=2, use_bias=False)
        assert [name for name, _ in bare.named_parameters()] == ["weight"]

    def test_activations(self) -> None:
        from nnkit import gelu, leaky_relu, relu, sigmoid, softmax, tanh

        x = Tensor([[-1.0, 0.5, 2.0]], requires_grad=True)
        for result in (
            relu(x), gelu(x), sigmoid(x), tanh(x), softmax(x, axis=-1), leaky_relu(x, alpha=0.01)
        ):  # fmt: skip
            assert result.shape == x.shape and result.requires_grad
        assert leaky_relu(x, alpha=0.01).data[0, 0] == np.float32(-0.01)

    def test_losses(self) -> None:
        predictions, targets = Tensor([0.25, 0.5]), Tensor([0.0, 1.0])
        from nnkit.losses import mse_loss

        loss = mse_loss(predictions, targets)
        assert loss.item() == pytest.approx((0.0625 + 0.25) / 2)

        from nnkit.losses import cross_entropy_loss

        # For multi-class classification
        # predictions: (batch_size, num_classes) - logits
        # targets: (batch_size,) - class indices OR (batch_size, num_classes) - one-hot
        logits = Tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
        loss = cross_entropy_loss(logits, np.array([2, 0]))
        assert loss.item() == cross_entropy_loss(logits, np.eye(3)[[2, 0]]).item()

        from nnkit.losses import binary_cross_entropy_loss

        # For binary classification
        # predictions: (batch_size,) - probabilities (after sigmoid)
        # targets: (batch_size,) - binary labels
        loss = binary_cross_entropy_loss(predictions, targets)
        assert loss.item() == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2, rel=1e-6)
        assert nnkit.l1_loss(predictions, targets).item() == 0.375

    def test_optimizers(self) -> None:
        model = Sequential(Dense(3, 2))
        from nnkit.optim import SGD

        optimizer: Any = SGD(
            model.parameters(),
            lr=0.01,
            momentum=0.9,      # Optional momentum
            weight_decay=0.0001  # Optional L2 regularization
        )  # fmt: skip
        optimizer.step()

        from nnkit.optim import Adam

        optimizer = Adam(
            model.parameters(),
            lr=0.001,
            betas=(0.9, 0.999),  # Beta1 and Beta2
            eps=1e-8,
            weight_decay=0.0001
        )  # fmt: skip
        optimizer.step()

        from nnkit.optim import RMSprop

        optimizer = RMSprop(
            model.parameters(),
            lr=0.01,
            alpha=0.99,
            eps=1e-8
        )  # fmt: skip
        optimizer.step()

    def test_the_training_example(self, capsys: pytest.CaptureFixture[str]) -> None:
        import numpy as np

        from nnkit import Dense, Sequential, Tensor, relu
        from nnkit.losses import mse_loss
        from nnkit.optim import Adam

        num_epochs = 100
        rng = np.random.default_rng(0)
        X_train = rng.normal(size=(64, 10))
        y_train = X_train[:, :1] - X_train[:, 1:2]

        # 1. Create model
        model = Sequential(
            Dense(10, 64, activation=relu),
            Dense(64, 32, activation=relu),
            Dense(32, 1, activation=None)
        )  # fmt: skip

        # 2. Define loss and optimizer
        criterion = mse_loss
        optimizer = Adam(model.parameters(), lr=0.001)

        # 3. Training loop
        for epoch in range(num_epochs):
            # Forward pass
            X_tensor = Tensor(X_train, requires_grad=False)
            y_tensor = Tensor(y_train, requires_grad=False)

            predictions = model(X_tensor)
            loss = criterion(predictions, y_tensor)

            # Backward pass
            model.zero_grad()
            loss.backward()

            # Update parameters
            optimizer.step()

            if (epoch + 1) % 10 == 0:
                print(f"Epoch {epoch + 1}, Loss: {loss.data.item():.4f}")

        lines = capsys.readouterr().out.splitlines()
        assert [line.split(",")[0] for line in lines] == [f"Epoch {10 * i}" for i in range(1, 11)]
        losses = [float(line.split("Loss: ")[1]) for line in lines]
        assert losses[-1] < losses[0] / 5

    def test_all_numbers_are_float32(self) -> None:
        model = Sequential(Dense(2, 3, activation=nnkit.gelu), Dense(3, 1))
        loss = nnkit.mse_loss(model(np.ones((4, 2), np.float64)), np.ones((4, 1)))
        loss.backward()
        assert loss.dtype == np.float32
        assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}  # type: ignore[union-attr]

    def test_future_enhancements(self) -> None:
        for name in ("BatchNorm", "Dropout", "AdaGrad", "AdaDelta"):
            assert name in nnkit.__all__


# Document 5: create and train -------------------------------------------------------------------


class IModel:
    """The document's protocol of a model."""


class DocumentedNetwork(IModel):
    """The document's `NeuralNetwork`, with examples as rows.

    Its loss gives the gradient of each example, not yet divided by their number: reduction "sum".
    """

    def __init__(
        self, layers: Any, loss: Any, learning_rate: float, regularization_factor: float = 0.0
    ) -> None:
        self._layers, self._loss, self._learning_rate = layers, loss, learning_rate
        self._num_layers = len(layers)
        self._regularization_factor = regularization_factor

    def fit(self, examples, labels, epochs):
        self._input = examples
        self._num_examples = len(examples)

        for epoch in range(1, epochs + 1):  # noqa: B007
            _ = self(self._input)  # [1]
            loss = self._loss(self._output, labels)  # [2]
            self.backward_step(labels)  # [3]
            self.update()  # [4]
        return loss

    def __call__(self, input_tensor):
        output = input_tensor

        for layer, activation in self._layers:
            output = layer(output)
            output = activation(output)

        self._output = output

    def backward_step(self, labels: np.ndarray):
        da = self._loss.gradient(self._output, labels)

        for index in reversed(range(0, self._num_layers)):
            layer, activation = self._layers[index]

            if index == 0:
                prev_layer_output = self._input
            else:
                prev_layer, prev_activation = self._layers[index - 1]
                prev_layer_output = prev_activation(prev_layer.output)

            dz = np.multiply(da, activation.gradient(layer.output))
            layer.grad_weights = np.dot(np.transpose(dz), prev_layer_output) / self._num_examples
            layer.grad_weights = layer.grad_weights + \
                (self._regularization_factor / self._num_examples) * layer.weights  # fmt: skip
            layer.grad_bias = np.mean(dz, axis=0)
            # The document has grad_weights here, a slip: dz/d(input) is the weights.
            da = np.dot(dz, layer.weights)

    def update(self):
        for layer, _ in self._layers:
            layer.update(self._learning_rate)


class TestCreateAndTrain:
    def data(self) -> tuple[NDArray, NDArray]:
        data = make_dataset("circle", samples=200, noise=0.05, seed=1)
        return data.inputs, data.targets

    def test_create_and_fit(self) -> None:
        x_train, y_train = self.data()
        layers = (
            (Dense(64), ReLU()),
            (Dense(64), ReLU()),
            (Dense(1), Sigmoid())
        )  # fmt: skip

        model = NeuralNetwork(
            layers=layers,
            loss=BinaryCrossEntropy(),
            learning_rate=1.
        )  # fmt: skip

        model.fit(x_train, y_train)

        assert accuracy(model(x_train), y_train) > 0.95
        assert len(model.history) == 100

    def test_its_own_class_runs_on_our_layers_and_is_ours(self) -> None:
        x_train, y_train = self.data()
        labels = y_train[:, None].astype(np.float32)

        def layers() -> Any:
            rng = np.random.default_rng(0)
            return (
                (Dense(2, 8, generator=rng), Tanh()),
                (Dense(8, 4, generator=rng), ReLU()),
                (Dense(4, 1, generator=rng), Sigmoid()),
            )

        theirs = DocumentedNetwork(layers(), BinaryCrossEntropy("sum"), 0.5, 0.3)
        theirs.fit(x_train, labels, epochs=10)
        ours = NeuralNetwork(layers(), BinaryCrossEntropy(), 0.5, 0.3)
        ours.fit(x_train, labels, epochs=10)
        theirs(x_train)
        np.testing.assert_allclose(theirs._output.data, ours(x_train).data, rtol=1e-4)

    def test_next_steps(self, tmp_path: Path) -> None:
        x_train, y_train = self.data()
        model = NeuralNetwork(
            layers=((Dense(16), ReLU()), Dropout(0.1), (Dense(1), Sigmoid())),
            loss=BinaryCrossEntropy(),
            learning_rate=0.05,
            optimizer=Adam,
            schedule=lambda optimizer: StepLR(optimizer, 50, gamma=0.5),
        )
        rates: list[float] = []
        model.fit(
            x_train, y_train, epochs=100, batch_size=32,
            callback=lambda progress: rates.append(progress.learning_rate),
        )  # fmt: skip
        assert (rates[0], rates[-1]) == (0.05, 0.025)
        model.eval().save(tmp_path / "w.npz")
        other = NeuralNetwork(
            layers=((Dense(16), ReLU()), Dropout(0.1), (Dense(1), Sigmoid())),
            loss=BinaryCrossEntropy(),
        )
        other.load(tmp_path / "w.npz").eval()
        np.testing.assert_array_equal(other(x_train), model(x_train))


# What all of them promise -----------------------------------------------------------------------

RNG_NETWORKS: dict[str, Any] = {
    "linear": lambda g: Linear(3, 1, generator=g),
    "activations": lambda g: Sequential(
        Linear(3, 4, Tanh(), generator=g), ReLU(), Linear(4, 1, Sigmoid(), generator=g)
    ),
    "norms": lambda g: Sequential(
        Linear(3, 4, generator=g), nnkit.BatchNorm(4), nnkit.GELU(), LayerNorm(4),
        Linear(4, 1, generator=g),
    ),
    "softmax": lambda g: Sequential(
        Linear(3, 4, Softmax(), generator=g), Linear(4, 1, generator=g)
    ),
    "dropout": lambda g: Sequential(
        Linear(3, 8, generator=g), Dropout(0.5, generator=g), Linear(8, 1, generator=g)
    ),
}  # fmt: skip

X = np.random.default_rng(5).normal(size=(7, 3)).astype(np.float32)
Y = np.random.default_rng(6).random((7, 1)).astype(np.float32)


def gradients(model: Module) -> list[NDArray]:
    return [np.array(p.grad) for p in model.parameters()]


class TestManualStyle:
    @pytest.mark.parametrize("name", RNG_NETWORKS)
    @pytest.mark.parametrize("loss", [MSE(), nnkit.Huber(), BinaryCrossEntropyWithLogits()])
    def test_gives_the_gradients_of_the_autograd_style_bit_for_bit(
        self, name: str, loss: Module
    ) -> None:
        manual, automatic = (RNG_NETWORKS[name](np.random.default_rng(0)) for _ in range(2))
        loss(manual(X), Y)
        towards_input = manual.backward(loss.backward())
        x = Tensor(X, requires_grad=True)
        loss(automatic(x), Y).backward()
        np.testing.assert_array_equal(towards_input, x.grad)
        for one, other in zip(gradients(manual), gradients(automatic), strict=True):
            assert one.dtype == np.float32
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("name", RNG_NETWORKS)
    def test_backward_may_be_repeated_and_replaces(self, name: str) -> None:
        model = RNG_NETWORKS[name](np.random.default_rng(0))
        loss = MSE()
        loss(model(X), Y)
        first = model.backward(loss.backward())
        kept = gradients(model)
        np.testing.assert_array_equal(model.backward(loss.backward()), first)
        for one, other in zip(gradients(model), kept, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_autograd_accumulates_where_manual_replaces(self) -> None:
        layer = Linear(3, 1, init="zeros")
        MSE()(layer(X), Y).backward()
        once = layer.grad_weights.copy()
        MSE()(layer(X), Y).backward()
        np.testing.assert_allclose(layer.grad_weights, 2 * once, rtol=1e-6)

    def test_gradients_are_there_and_zero_before_the_first_backward(self) -> None:
        layer = Linear(3, 2)
        for gradient, shape in (
            (layer.grad_weights, (2, 3)), (layer.grad_biases, (2,)), (layer.grad_bias, (2,))
        ):  # fmt: skip
            assert gradient.shape == shape and not gradient.any()
        layer.grad_weights.fill(3)
        np.testing.assert_array_equal(layer.grad_weights, np.full((2, 3), 3))
        assert layer.weights.grad is layer.grad_weights
        layer.grad_weights.fill(0)

    def test_layer_by_layer_is_the_same_as_at_once(self) -> None:
        model = RNG_NETWORKS["activations"](np.random.default_rng(0))
        model.forward(X)
        at_once = model.backward(Y)
        kept = gradients(model)
        h = X
        for layer in model:
            h = layer.forward(h)
        grad = Y
        for layer in reversed(list(model)):
            grad = layer.backward(grad)
        np.testing.assert_array_equal(grad, at_once)
        for one, other in zip(gradients(model), kept, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_results_can_be_indexed_formatted_and_handed_to_numpy(self) -> None:
        layer, criterion = Linear(3, 1), MSE()
        predictions = layer(X)
        loss = criterion(predictions, Y)
        assert f"{loss:.4f}" == f"{float(loss):.4f}"
        assert f"{predictions[0][0]:.4f}" == f"{predictions.data[0, 0]:.4f}"
        assert np.asarray(predictions).shape == (7, 1)
        assert np.mean((predictions - Y) ** 2) == pytest.approx(loss.item())
        assert [row.shape for row in predictions] == [(1,)] * 7
        assert loss < 1e9 and (predictions > -np.inf).all()
        assert isinstance(criterion.backward(), np.ndarray)
        assert isinstance(layer.backward(np.ones((7, 1))), np.ndarray)

    def test_forms_of_linear(self) -> None:
        assert Linear(input_size=2, output_size=50).weights.shape == (50, 2)
        assert Linear(in_features=2, out_features=50).biases.shape == (50,)
        assert np.min(Linear(3, 4, ReLU())(X)) >= 0
        assert Dense(4)(X).shape == (7, 4)

    def test_errors_say_what_to_do(self) -> None:
        layer, criterion = Linear(3, 1), MSE()
        with pytest.raises(GraphError, match="needs a forward pass first"):
            layer.backward(np.ones((7, 1)))
        with pytest.raises(GraphError, match="needs a forward pass first"):
            criterion.backward()
        layer(X)
        for wrong in ((7,), (1, 7), (7, 2)):
            with pytest.raises(ShapeError, match=re.escape(f"shape (7, 1), got {wrong}")):
                layer.backward(np.ones(wrong))
        with no_grad():
            layer(X)
        with pytest.raises(GraphError, match="no_grad"):
            layer.backward(np.ones((7, 1)))
        criterion(layer(X), Y).backward()
        with pytest.raises(GraphError, match="freed"):
            layer.backward(np.ones((7, 1)))
        layer(X)
        layer.update_weights(0.1)
        with pytest.raises(GraphError, match="changed after the forward pass"):
            layer.backward(np.ones((7, 1)))

    def test_targets_of_another_shape_are_no_silent_broadcast(self) -> None:
        for loss in (MSE(), BinaryCrossEntropyWithLogits(), nnkit.L1(), nnkit.Hinge()):
            with pytest.raises(ShapeError, match=r"\(7, 1\), got \(7,\)"):
                loss(np.zeros((7, 1)), np.ones(7))
        with pytest.raises(ShapeError, match="CrossEntropy expects"):
            CrossEntropy()(np.zeros((7, 2)), np.ones((7, 1)))


class TestNames:
    def test_all_are_importable_from_nnkit(self) -> None:
        assert len(nnkit.__all__) == len(set(nnkit.__all__))
        for name in nnkit.__all__:
            assert getattr(nnkit, name) is not None
        assert set(nnkit.__all__) <= set(dir(nnkit))
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            _ = nnkit.nonsense  # type: ignore[attr-defined]

    def test_the_names_of_the_contract(self) -> None:
        names = """
            Tensor Parameter no_grad Module Layer Linear Dense Sequential ReLU Sigmoid Tanh Softmax
            GELU LeakyReLU MSE BinaryCrossEntropy CrossEntropy accuracy train_one_step update_module
            create_network gradient_check twospirals relu gelu sigmoid tanh softmax leaky_relu
            mse_loss cross_entropy_loss binary_cross_entropy_loss l1_loss SGD Adam RMSprop
            NeuralNetwork
        """
        assert set(names.split()) <= set(nnkit.__all__)
        assert (nnkit.optim.SGD, nnkit.losses.MSE) == (SGD, MSE)
        assert nnkit.optim.RMSprop is RMSprop

    def test_importing_takes_numpy_alone(self) -> None:
        program = (
            "import sys, numpy, numpy.random; before = set(sys.modules); import nnkit\n"
            "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
        )
        found = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        heavy = {"csv", "json", "zipfile", "re", "asyncio", "streamlit", "plotly", "matplotlib"}
        assert "nnkit" in found and not heavy & set(found)
