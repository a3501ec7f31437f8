"""Between napari's layers and core's arrays; knows napari, not Qt."""
