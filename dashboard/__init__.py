"""The dashboard: Streamlit pages over the owner service's API."""
