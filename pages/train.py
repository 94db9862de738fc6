"""Train: data, network and output on one screen."""

from functools import partial

import streamlit as st

from pages.parts import controls, state, toolbar, training

top, status, layers = st.container(), st.container(), st.container()
grid = st.grid(2, min_column_width=400, gap="small")
network = grid.cell()
with grid.cell():
    drawing, charts = st.container(), st.container()

# The frame first: Pause is seen to act before all the controls have been made again.
training.live(status)
with network:
    training.network()
with charts:
    training.charts()

with top:
    toolbar.run_row(partial(training.weights_file, state.session()))
with layers:
    toolbar.layer_row()
with drawing:
    toolbar.output_row()
with st.sidebar:
    with st.container(gap="xsmall"):
        st.subheader("Data")
        controls.data_group()
    with st.container(gap="xsmall"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            st.subheader("Training", width="content")
            controls.recommended_button()
        controls.training_group()
        controls.popovers()
    st.caption(
        f"{controls.LIVE} acts at once  {controls.REBUILDS} starts training again. "
        "The address bar holds all of it: copy it to share."
    )
