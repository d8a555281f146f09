"""The arrows: one frozen pydantic model per hand-over between stages. A field that crosses a stage is named here."""
