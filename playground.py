"""The playground: `streamlit run playground.py`."""

import numpy as np
import streamlit as st

from pages.parts import pictures, state

XOR = np.outer((-1, 1), (-1, 1))

st.set_page_config(
    page_title="Neural network playground",
    page_icon=pictures.value_image(XOR, 1),
    layout="wide",
    initial_sidebar_state=310,
)
train = st.Page("pages/train.py", title="Train", icon=":material/play_circle:", default=True)
page = st.navigation(
    [
        train,
        st.Page("pages/data.py", title="Data", icon=":material/scatter_plot:"),
        st.Page("pages/evaluate.py", title="Evaluate", icon=":material/monitoring:"),
        st.Page("pages/predict.py", title="Predict", icon=":material/online_prediction:"),
        st.Page("pages/gradients.py", title="Gradients", icon=":material/account_tree:"),
    ],
    position="top",
)
state.follow_link()
if page is not train:
    state.pause()  # its visitor is to find it as it was left
page.run()
state.write_link()
