"""Steps of large planes on the workers of a dask cluster.

Nothing is started here and no port is opened: the user names a scheduler that runs. What is sent
are paths, settings and the places of parts; pixels are read and written by the workers, from and to
a disk that all of them see. A part whose worker has died is done by another one, from the start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar  # dask is not typed

from napari_unet import __version__
from napari_unet.core.errors import ComputeError, InputError, ModelFileError
from napari_unet.core.library import find_model
from napari_unet.engine.compute import cached_model
from napari_unet.engine.large import LargeJob, open_plane

if TYPE_CHECKING:
    from napari_unet.core.large import Run
    from napari_unet.core.large_plane import LargePlane

__all__ = ["Cluster", "import_distributed"]

PATIENCE = 30  # seconds to wait for the scheduler, and for a first worker (chosen)

Item = TypeVar("Item")
Result = TypeVar("Result")


class Cluster:
    """A connection to the scheduler of a cluster.

    Parameters
    ----------
    address : str or distributed.Client
        Such as ``tcp://host:8786``, or ``tls://`` with certificates as dask's own configuration
        names them, or a scheduler file; or a client that is connected, which is left open.
    patience : float, optional
        Seconds to wait for the scheduler, and for a first worker; half a minute if None.

    Raises
    ------
    InputError
        If dask.distributed is missing, nobody answers, there are no workers, or these have another
        napari-unet.
    """

    def __init__(self, address: Any, *, patience: float | None = None) -> None:
        distributed = import_distributed()
        self._patience = PATIENCE if patience is None else patience
        self._is_ours = isinstance(address, str)
        self._client = address
        if self._is_ours:
            self._client = _connected(distributed, address, self._patience)
        self.address = str(self._client.scheduler.address)
        try:
            self._wait(distributed)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def client(self) -> Any:
        """The connection, a `distributed.Client`."""
        return self._client

    def close(self) -> None:
        """Let go of the scheduler; the cluster stays."""
        if self._is_ours:
            self._client.close()

    def run(self, job: LargeJob) -> Run:
        """Return what does the steps of a job on the workers.

        Raises
        ------
        InputError
            If a worker does not find the files.
        """
        paths = job.image.path, job.folder, *(plane.path for plane in job.labels)
        for worker, missing in self._client.run(_missing, job.model, paths).items():
            if missing:
                raise InputError(
                    f"The worker {worker} does not find {missing[0]}; image, labels and model must "
                    "lie where all workers see them under the same path."
                )

        def run(
            step: Callable[[LargePlane, Sequence[Item]], Iterator[tuple[Item, Result]]],
            items: Sequence[Item],
        ) -> Iterator[tuple[Item, Result]]:
            yield from self._done(job, step, items)

        return run

    def _done(self, job: LargeJob, step: Any, items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield what has been done, as it is; what is left when something fails is called off."""
        distributed = import_distributed()
        futures = {
            future: item
            for item, future in zip(
                items,
                self._client.map(_do, [(job, step, item) for item in items], pure=False),
                strict=True,
            )
        }
        try:
            for future in distributed.as_completed(list(futures), loop=self._client.loop):
                yield futures.pop(future), future.result()
        except distributed.KilledWorker as error:
            raise ComputeError(
                "Workers died again and again while they computed a part, probably for want of "
                "memory; give each 4 GB. The same command goes on where it was."
            ) from error
        except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
            raise ComputeError(
                f"The cluster at {self.address} is gone; the same command goes on where it was."
            ) from error
        finally:
            if futures and self._client.status == "running":
                self._client.cancel(list(futures))

    def _wait(self, distributed: Any) -> None:
        try:
            self._client.wait_for_workers(1, timeout=self._patience)
            versions = self._client.run(_version)
        except (TimeoutError, distributed.TimeoutError) as error:
            raise InputError(
                f"The cluster at {self.address} has no workers; start some with: dask worker "
                f"{self.address}"
            ) from error
        except ModuleNotFoundError as error:
            raise InputError(
                f"The workers at {self.address} do not find {error.name}; install "
                f"napari-unet-interactive {__version__} where they run."
            ) from error
        for worker, version in versions.items():
            if version != __version__:
                raise InputError(
                    f"The worker {worker} has napari-unet {version} and this is {__version__}; "
                    "install the same."
                )


# A worker computes one part at a time, whatever its threads: memory is that of one part.
_busy = threading.Lock()
_open: dict[str, LargePlane] = {}


def _do(task: tuple[LargeJob, Any, Any]) -> Any:
    """Do a step for one part, on a worker that keeps the model and the plane."""
    job, step, item = task
    with _busy:
        if job.token not in _open:
            _open.clear()
            _open[job.token] = open_plane(job, cached_model(job.model))
        ((_, result),) = step(_open[job.token], [item])
    return result


def _version() -> str:
    return __version__


def _missing(model: str, paths: Sequence[Path]) -> list[str]:
    """Return what this worker does not find."""
    missing = [str(path) for path in paths if not path.exists()]
    try:
        find_model(model)
    except ModelFileError:
        missing.append(model)
    return missing


def import_distributed() -> Any:
    """Return dask.distributed.

    Raises
    ------
    InputError
        If it is missing.
    """
    try:
        import distributed  # optional, and slow
    except ImportError as error:
        raise InputError(
            "A cluster needs dask.distributed; install it with: pip install "
            '"napari-unet-interactive[cluster]".'
        ) from error
    return distributed


def _connected(distributed: Any, address: str, patience: float) -> Any:
    """Return a client; TLS is set up by dask's own configuration."""
    if address.startswith("tls://") and not _has_certificates(distributed):
        raise InputError(
            f"{address} asks for certificates, and dask's configuration names none; see "
            "docs/cluster.md for how to write it."
        )
    where: dict[str, str] = {"address": address}
    if Path(address).is_file():
        where = {"scheduler_file": address}
    try:
        if "address" in where:  # a client that cannot begin takes long to be thrown away
            distributed.comm.get_address_host(address)
        return distributed.Client(**where, timeout=patience, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError, distributed.TimeoutError) as error:
        said = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(
            f"No dask scheduler answers at {address}; give an address such as tcp://host:8786 "
            f"({said})."
        ) from error


def _has_certificates(distributed: Any) -> bool:
    return distributed.Security().get_connection_args("client").get("ssl_context") is not None
