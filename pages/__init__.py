"""The pages of the playground; `playground.py` is the way in.

Until `st.navigation` is first called, Streamlit takes a folder of this name for a navigation of
its own. A fresh server would then run a page that is opened by its address without the
playground around it.
"""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

if getattr(PagesManager, "uses_pages_directory", False):
    PagesManager.uses_pages_directory = False
    st.rerun()
