"""Errors whose text is one sentence for the person at the screen."""

__all__ = ["ComputeError", "InputError", "ModelFileError", "NapariUnetError", "OutOfMemoryError"]


class NapariUnetError(Exception):
    """Base of our errors: the text says what happened and what to do."""


class InputError(NapariUnetError, ValueError):
    """What was given cannot be used: a wrong shape, an unknown axis, nothing checked."""


class ModelFileError(NapariUnetError, ValueError):
    """A model file is damaged, foreign, or made by a newer version."""


class ComputeError(NapariUnetError):
    """The computation failed in torch: the text carries its message."""


class OutOfMemoryError(ComputeError):
    """There was not enough memory on the device."""
