"""Gradients: a formula as a graph, its backward pass step by step, and the check by differences."""

from pages.parts import gradients

walk = gradients.chosen_walk()
if walk is not None:
    position = gradients.position(walk)
    gradients.graph(walk, position)
    gradients.stepper(walk, position)
    gradients.details(walk, position)
