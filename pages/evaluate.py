"""Evaluate: honest numbers on the current network, on training and on test data."""

import streamlit as st

from pages.parts import cross_validation, evaluation

evaluation.measures()
st.subheader("Cross-validation")
cross_validation.panel()
