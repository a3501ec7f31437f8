"""Cellpose's `_seg.npy`: a pickled dict, read without running a line of what it says.

A pickle is a program. Here only its instructions that build numbers, strings, containers and
numpy arrays are let through, and what stands for numpy in it is ours: names of functions that the
file asks for are never looked up. Plain arrays of whole numbers in a .npy are read as labels too.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any  # what a pickle holds

import numpy as np
from numpy.lib import format as npy

from napari_unet.core.errors import InputError
from napari_unet.core.label_index import whole_numbers
from napari_unet.formats.annotations import Annotations, check_canvas

__all__ = ["npy_header", "read_npy"]

# A seg file holds the image, flows and masks (chosen).
MAX_BYTES = 2**32

# Instructions of pickle that build values. Not among them: those that call what a file names
# other than through REDUCE, persistent identifiers, the extension registry, and out-of-band data.
_NUMBERS = "NONE NEWTRUE NEWFALSE INT LONG LONG1 LONG4 BININT BININT1 BININT2 FLOAT BINFLOAT"
_TEXTS = """STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
BINBYTES SHORT_BINBYTES BINBYTES8"""
_CONTAINERS = """EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT
DICT SETITEM SETITEMS EMPTY_SET ADDITEMS FROZENSET"""
_MEMO = ("PUT", "BINPUT", "LONG_BINPUT")
_ORDER = "MARK STOP POP POP_MARK DUP GET BINGET LONG_BINGET MEMOIZE PROTO FRAME"
_CALLS = "GLOBAL STACK_GLOBAL REDUCE BUILD"  # of the stand-ins below
BUILDING = {*f"{_NUMBERS} {_TEXTS} {_CONTAINERS} {_ORDER} {_CALLS}".split(), *_MEMO}


def read_npy(path: Path) -> Annotations:
    """Read the masks of a Cellpose file, or the labels of a plain array.

    Raises
    ------
    InputError
        If it is damaged, holds no labels, or asks for more than numbers and containers.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(f"{path.name} is larger than {MAX_BYTES >> 30} GB and is not read.")
    try:
        with path.open("rb") as file:
            shape, dtype = npy_header(file)
            if not dtype.hasobject:
                check_canvas(shape, path.name)
                labels = np.load(path, allow_pickle=False, mmap_mode="r")
                return _labels(np.array(labels), path)
            content = _unpickled(file.read(), path)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file leads to
        raise InputError(f"{path.name} cannot be read: {error}.") from error
    content = content.value if isinstance(content, _Array) else content
    if isinstance(content, list) and len(content) == 1:  # numpy saves a dict as one object
        content = content[0]
    if not isinstance(content, dict) or not isinstance(content.get("masks"), _Array):
        raise InputError(f"{path.name} has no masks; is it a file of Cellpose?")
    return _labels(content["masks"].value, path)


def npy_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the dtype that an open .npy file declares, and nothing of its array.

    Raises
    ------
    ValueError
        If it is none.
    """
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _labels(masks: Any, path: Path) -> Annotations:
    if not isinstance(masks, np.ndarray) or masks.ndim not in (2, 3):
        raise InputError(f"{path.name} holds no labels of a plane or a stack.")
    labels = whole_numbers(masks)
    return Annotations(labels, "ZYX"[-labels.ndim :])


def _unpickled(content: bytes, path: Path) -> Any:
    """Look through all instructions first, then let Python's unpickler follow them."""
    for count, (code, argument, _) in enumerate(pickletools.genops(content), start=1):
        too_far = code.name in _MEMO and int(argument or 0) > count
        if code.name not in BUILDING or too_far:
            raise InputError(
                f"{path.name} holds a program ({code.name}), not only arrays; it was not run."
            )
    return _Unpickler(io.BytesIO(content), path).load()


class _Unpickler(pickle.Unpickler):
    """Knows stand-ins for numpy's arrays, and nothing else."""

    def __init__(self, file: io.BytesIO, path: Path) -> None:
        super().__init__(file, encoding="latin1")  # as numpy.load does for files of Python 2
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in; never import."""
        module = module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise InputError(
                f"{self._path.name} wants to run {module}.{name}; it holds a program, not only "
                "arrays, and was not run."
            ) from None


class _Dtype:
    """Stands for numpy.dtype: of plain numbers, or of objects."""

    def __init__(self, name: str = "O8", *_: Any) -> None:
        self.is_object = name.startswith("O")
        if not self.is_object and np.dtype(name).kind not in "biufcSU":
            raise InputError(f"Arrays of {name} are not read.")
        self.dtype = np.dtype("u1") if self.is_object else np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">") and not self.is_object:
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for numpy.ndarray, empty at first."""

    def __init__(self, *_: Any) -> None:
        self.value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, raw = state
        if dtype.is_object:
            self.value = list(raw)
            return
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        flat = np.frombuffer(raw, dtype.dtype)
        self.value = flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


class _Scalar(_Array):
    """Stands for numpy's own numbers."""

    def __init__(self, dtype: _Dtype, raw: Any = b"") -> None:
        self.value = raw
        if not dtype.is_object:
            raw = raw.encode("latin1") if isinstance(raw, str) else raw
            self.value = np.frombuffer(raw, dtype.dtype, count=1)[0].item()


class _Bytes(_Array):
    """Stands for _codecs.encode, by which old pickles hold bytes."""

    def __new__(cls, text: str, *_: Any) -> bytes:  # type: ignore[misc]  # it is a function's name
        return text.encode("latin1")


class _Set(_Array):
    """Stands for sets, of which nothing is read."""


STAND_INS = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("_codecs", "encode"): _Bytes,
    ("builtins", "set"): _Set,
    ("builtins", "frozenset"): _Set,
}
