"""A napari plugin: segment with a U-Net, correct by hand, teach it from a few cells."""

__version__ = "0.1.0"
