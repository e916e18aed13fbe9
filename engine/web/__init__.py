"""HTTP routes beside the pages. Starlette only; no Streamlit, no torch, no SQL."""
