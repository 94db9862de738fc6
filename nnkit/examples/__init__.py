"""One program for each way to use nnkit: `python -m nnkit.examples.xor`, and so on.

- `xor`: a model of your own, its backward pass written out, trained by hand.
- `spirals`: two spirals, with a gradient check and a picture of the boundary as it evolves.
- `classify_and_regress`: layers in a row, for classes and for numbers, saved and loaded.
- `autograd`: tensors, losses and optimizers, in three examples.
- `create_and_train`: a network with everything it needs in one object.
"""
