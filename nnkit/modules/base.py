"""`Module`: a piece of network with parameters, callable, and differentiable in two styles.

*Autograd style*: compute a loss from `model(x)` and call `loss.backward()`. Gradients accumulate
and the graph is freed.

*Manual style*: call `criterion.backward()` for dL/dprediction and `model.backward(grad)` for
dL/dinput. A module call is a segment of the one graph, and `module.backward(grad)` walks just that
segment, from the module's last output to its last input. Gradients are replaced, nothing is freed,
so it may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..backpropagation import backpropagate
from ..errors import FileError, GraphError, ShapeError
from ..functions import Array
from ..functions.base import current_kernels
from ..tensor import Parameter, Tensor, no_grad
from .calls import does_remember, remembering

if TYPE_CHECKING:
    from ..serialization import PathOrFile


class Module:
    """Base of layers, activations, losses and whole networks.

    A subclass sets its parameters and child modules as attributes (lists and tuples of modules
    count too) and writes `forward`. Parameters are found in the order in which the attributes
    were set, under dotted names such as `layers.0.weight`; one that is reachable twice counts
    once, under its first name. Calling a module is the `forward` of its class as it was defined:
    one that is assigned to an object or a class later is not called.

    >>> from nnkit import Linear, ReLU
    >>> class Net(Module):
    ...     def __init__(self):
    ...         self.hidden = Linear(2, 3, ReLU())
    ...         self.output = Linear(3, 1)
    ...     def forward(self, x):
    ...         return self.output(self.hidden(x))
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'output.weight', 'output.bias']
    """

    # Beside the attributes, so that calling a module does not change what it is.
    __slots__ = ("__dict__", "__weakref__", "_last_call")
    _last_call: tuple[Tensor, Any] | None

    training: bool = True
    #: Names of array attributes that belong to the state but are not trained.
    buffer_names: tuple[str, ...] = ()

    def __init__(self) -> None:  # so that subclasses may call super().__init__()
        pass

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not does_remember(cls.forward):
            cls.forward = remembering(cls.forward)  # type: ignore[method-assign]
        # Calling is `forward` itself, which saves a call, unless a class says otherwise.
        if cls.__call__ is Module.__call__ or does_remember(cls.__call__):
            cls.__call__ = cls.forward  # type: ignore[method-assign]

    def forward(self, *inputs: Any) -> Any:
        """The output for `inputs`; every module defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self.forward(*inputs, **options)

    def backward(self, grad_output: ArrayLike | None = None) -> Array | None:
        """Gradients of the last call: sets those of the parameters, returns dL/dinput.

        It is None where the input was a tensor that requires no gradient: what was computed of
        it without parameters is in no graph. Arrays are taken as inputs that require one.

        Args:
            grad_output: dL/doutput, of the output's shape; may be left out where the output is
                one number, as a loss is.

        Raises:
            GraphError: before any call, after `no_grad` or after the graph was freed.
            ShapeError: `grad_output` has another shape than the output.
        """
        last = getattr(self, "_last_call", None)
        if last is None:
            raise GraphError(
                f"{type(self).__name__}.backward() needs a forward pass first: call the module"
            )
        x, output = last
        if not isinstance(x, Tensor):
            raise GraphError(
                f"{type(self).__name__} was called with a list of tensors, to which there is no "
                "one gradient; call backward() of the loss, or of the output"
            )
        if not isinstance(output, Tensor) or (not output.requires_grad and output is not x):
            raise GraphError(
                f"the last call of {type(self).__name__} left no graph "
                "(it ran under no_grad, or on tensors without requires_grad and no parameters)"
            )
        towards_input: Array | None = None
        found = backpropagate(output, grad_output, stop=x, retain_graph=True)
        for tensor, gradient in found.items():
            if tensor is x:
                towards_input = gradient
            else:
                tensor._grad = gradient
        if not x.requires_grad:
            return None
        return np.zeros_like(x._data) if towards_input is None else towards_input

    # Parameters and children ----------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Direct child modules with their names; members of lists are named by their place."""
        for name, value in self.__dict__.items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                for i, item in enumerate(value):
                    if isinstance(item, Module):
                        yield f"{name}.{i}", item

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, parents first."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            children = list(module.named_children())
            stack.extend((f"{path}.{n}" if path else n, child) for n, child in reversed(children))

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Dotted names and parameters, each once, in a stable order."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in module.__dict__.items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once.

        Raises:
            GraphError: some layers have none yet, because they wait for their first call.
        """
        self._check_sized()
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """State that is not trained, such as running statistics."""
        current_kernels().escape(self)
        for path, module in self.named_modules():
            for name in module.buffer_names:
                yield f"{path}.{name}" if path else name, getattr(module, name)

    # Training -------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below it into training (or, with False, evaluation) mode."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode: dropout passes values on, batch normalization uses what it learned."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        current_kernels().escape(self)
        for _, parameter in self.named_parameters():
            parameter._grad = None

    zero_gradients = zero_grad

    def update_weights(self, learning_rate: float) -> None:
        """One step of plain gradient descent: p ← p - learning_rate · dL/dp."""
        current_kernels().escape(self)
        for parameter in self.parameters():
            if parameter._grad is not None:
                parameter._data -= parameter._data.dtype.type(learning_rate) * parameter._grad
                parameter._version += 1

    update = update_weights

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw all parameters anew, in order, from one generator."""
        generator = np.random.default_rng(generator)
        for module in self.modules():
            module._initialize(generator)

    def _initialize(self, generator: np.random.Generator) -> None:
        """Draw this module's own parameters (not its children's)."""

    # State ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by dotted name."""
        current_kernels().escape(self)
        state = {name: p._data.copy() for name, p in self.named_parameters()}
        state.update((name, buffer.copy()) for name, buffer in self.named_buffers())
        return state

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Take over parameters and buffers from `state`; on any misfit nothing changes.

        Raises:
            GraphError: some layers have no parameters yet, because they wait for their first call.
            ShapeError: lists every missing, unexpected, mis-shaped and not numeric entry.
        """
        current_kernels().escape(self)
        self._check_sized()
        parameters = dict(self.named_parameters())
        targets = {name: p._data for name, p in parameters.items()} | dict(self.named_buffers())
        # Copied, for some may be other parameters of this very network.
        arrays = {name: np.array(value) for name, value in state.items()}
        problems = [f"missing: {name}" for name in targets if name not in arrays]
        problems += [f"unexpected: {name}" for name in arrays if name not in targets]
        problems += [
            f"{name}: expected shape {targets[name].shape}, got {array.shape}"
            for name, array in arrays.items()
            if name in targets and array.shape != targets[name].shape
        ]
        problems += [
            f"{name}: expected real numbers, got dtype {array.dtype}"
            for name, array in arrays.items()
            if array.dtype.kind not in "fiub"
        ]
        problems += [
            f"{name}: has values too large for {targets[name].dtype}"
            for name, array in arrays.items()
            if name in targets and array.dtype.kind in "fiu" and _overflows(array, targets[name])
        ]
        if problems:
            raise ShapeError("this state does not fit the network; " + "; ".join(problems))
        for name, array in arrays.items():
            targets[name][...] = array
            if name in parameters:
                parameters[name]._version += 1

    @property
    def is_sized(self) -> bool:
        """False while this module waits for its first call to learn the sizes of its parameters."""
        return True

    def _check_sized(self) -> None:
        for path, module in self.named_modules():
            if not module.is_sized:
                raise GraphError(
                    f"{path or type(self).__name__} has no parameters yet: its inputs are counted "
                    "at the first call, so call the model once before"
                )

    def _size_for(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Make the parameters that are still missing, for arrays of these shapes."""

    def save(self, file: PathOrFile, config: Mapping[str, Any] | None = None) -> None:
        """Write all parameters and buffers, and a `config` of plain data, to one `.npz` file.

        `numpy.load` reads it too; see `nnkit.serialization` for the format.

        Raises:
            GraphError: a layer has no parameters before its first call.
            FileError: values that are not finite.
        """
        from ..serialization import save_archive  # zip and JSON take their time to import

        self._check_sized()
        save_archive(file, self.state_dict(), config)

    def load(self, file: PathOrFile) -> Self:
        """Take over what `save` wrote; layers without a number of inputs take it from the file.

        Raises:
            FileError: a damaged or hostile file, or one for another network (all differences
                are listed). The network is then as it was.
        """
        from ..serialization import load_archive

        waiting = [(path, m) for path, m in self.named_modules() if not m.is_sized]
        before = [(m, dict(m.__dict__)) for _, m in waiting]
        found = load_archive(file).arrays if waiting else {}
        try:
            for path, module in waiting:
                start = f"{path}." if path else ""
                module._size_for({n.removeprefix(start): a.shape for n, a in found.items()})
                if not module.is_sized:
                    raise FileError(
                        f"the file does not say how many inputs {path or type(module).__name__} "
                        f"has: there is no matrix {start}weight"
                    )
            state = {n: (array.shape, array.dtype) for n, array in self.state_dict().items()}
            self.load_state_dict(load_archive(file, state).arrays)
        except BaseException:
            for module, attributes in before:
                module.__dict__.clear()
                module.__dict__.update(attributes)
            raise
        return self

    def summary(self, input_shape: int | tuple[int, ...] | None = None) -> str:
        """A table of the modules with the shapes and counts of their parameters.

        Args:
            input_shape: of one example; shows the shape of each output too, and gives layers
                without a number of inputs their parameters.

        >>> from nnkit import Dense, ReLU, Sequential
        >>> print(Sequential(Dense(4), ReLU(), Dense(1)).summary(input_shape=(2,)))
        module  type   output  parameters                count
        0       Dense  (n, 4)  weight (4, 2), bias (4,)     12
        1       ReLU   (n, 4)                                0
        2       Dense  (n, 1)  weight (1, 4), bias (1,)      5
        total                                               17
        """
        outputs = {} if input_shape is None else self._output_shapes(input_shape)
        rows = [("module", "type", "output", "parameters", "count")]
        total = 0
        counted: set[int] = set()
        for path, module in self.named_modules():
            own = {n: p for n, p in module.__dict__.items() if isinstance(p, Parameter)}
            if not own and next(module.named_children(), None) is not None:
                continue
            size = sum(p.size for p in own.values() if id(p) not in counted)
            counted.update(map(id, own.values()))
            total += size
            shapes = ", ".join(f"{n} {p.shape}" for n, p in own.items())
            output = outputs.get(id(module), "")
            rows.append((path or "(self)", type(module).__name__, output, shapes, f"{size:,}"))
        rows.append(("total", "", "", "", f"{total:,}"))
        columns = [0, 1, 3, 4] if input_shape is None else [0, 1, 2, 3, 4]
        widths = {i: max(len(row[i]) for row in rows) for i in columns}
        lines = [
            "  ".join(row[i].rjust(w) if i == 4 else row[i].ljust(w) for i, w in widths.items())
            for row in rows
        ]
        return "\n".join(line.rstrip() for line in lines)

    def _output_shapes(self, input_shape: int | tuple[int, ...]) -> dict[int, str]:
        """What each module gives for n examples, in words, by the module's id."""
        shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
        modules = list(self.modules())
        before = [(m, m.training, getattr(m, "_last_call", None)) for m in modules]
        shapes: dict[int, str] = {}
        try:
            for module in self.eval().modules():
                module._last_call = None
            with no_grad(), np.errstate(all="ignore"):
                self(Tensor(np.zeros((1, *shape))))
            for module in modules:
                if module._last_call is not None and isinstance(module._last_call[1], Tensor):
                    sizes = ("n", *module._last_call[1].shape[1:])
                    shapes[id(module)] = f"({', '.join(map(str, sizes))})"
        finally:
            for module, training, last_call in before:
                module.training, module._last_call = training, last_call
        return shapes

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()  # without the last call and its graph

    def __repr__(self) -> str:
        children = "".join(
            f"\n  ({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self.named_children()
        )
        return f"{type(self).__name__}({self._describe()}" + (f"{children}\n)" if children else ")")

    def _describe(self) -> str:
        """What `repr` shows between the parentheses."""
        return ""


#: The name that some of the libraries we follow give the same class.
Layer = Module


def _overflows(array: Array, target: Array) -> bool:
    """Whether finite numbers would not be finite in the dtype of `target`."""
    with np.errstate(over="ignore"):
        cast = array.astype(target.dtype)
    return bool((np.isfinite(array) & ~np.isfinite(cast)).any())
