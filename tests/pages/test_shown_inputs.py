"""Data of more than two inputs: which two the plane shows is the visitor's choice."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from pages.parts.views import feature_title


def page() -> None:
    import numpy as np
    import streamlit as st

    from nnkit.datasets import Dataset
    from pages.parts import state, toolbar

    if "made" not in st.session_state:
        st.session_state["made"] = True
        inputs = np.random.default_rng(0).normal(size=(60, 4))
        state.use_data(Dataset(inputs, (inputs[:, 2] > 0).astype(int), "classification"), "Mine")
    toolbar.output_row()
    st.write(str(state.experiment().shown_inputs))


def test_axes_are_chosen_and_never_the_same() -> None:
    app = AppTest.from_function(page, default_timeout=60).run()
    assert app.markdown[-1].value == "(0, 1)"
    app.selectbox(key="shown_up").select("x3").run()
    assert app.markdown[-1].value == "(0, 2)"
    app.selectbox(key="shown_up").select("x1").run()
    assert app.markdown[-1].value == "(2, 0)"
    assert not app.exception


def test_features_are_written_as_in_mathematics() -> None:
    names = ("x1", "x12", "x2^2", "x1*x2", "sin(x1)", "sin(height)", "a*b", "x")
    titles = ("x₁", "x₁₂", "x₂²", "x₁x₂", "sin πx₁", "sin(height)", "a*b", "x")
    assert tuple(map(feature_title, names)) == titles
