"""napari's layers on one side, the session's values on the other. It knows no Qt."""
