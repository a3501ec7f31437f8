"""A runner whose tasks run on a worker of a dask cluster, such as a computer with a graphics card.

Nothing is started there and no port is opened here. A task takes its image and its model along, so
no disk is shared; what it tells comes back through the scheduler. A task whose worker has died
begins anew on another one.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle  # of tasks and answers: whoever computes for us runs our code anyway
import queue
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    TypeVar,
    cast,
)  # dask is not typed, and tasks are of all kinds
from uuid import uuid4

from napari_unet.core.errors import ComputeError, InputError, NapariUnetError
from napari_unet.core.files import write_beside
from napari_unet.core.library import find_model
from napari_unet.engine.errors import CLOSED, NOT_BEGUN, JobCancelledError, as_sentence
from napari_unet.engine.runner import Job
from napari_unet.engine.tasks import (
    DeviceInfo,
    MeasureTask,
    ProbeTask,
    SegmentTask,
    SegmentVolumeTask,
    Task,
    Wishes,
    run_task,
)
from napari_unet.engine.teach_tasks import TeachDone, TeachTask

if TYPE_CHECKING:
    from napari_unet.engine.cluster import Cluster

__all__ = ["ElsewhereRunner", "can_go_elsewhere"]

KINDS = ProbeTask, MeasureTask, SegmentTask, SegmentVolumeTask, TeachTask
LIVE = "live:"  # such a network is in the worker on this computer alone
PATIENCE = 10.0  # seconds for somebody to answer (chosen: a person waits)
LOOK_EVERY_S = 0.05  # for what has come
WISH_EVERY_S = 0.25  # a worker asks what is wanted of it
ANSWER_S = 30.0  # within which the scheduler tells (chosen for a busy one)
GRACE_S = 5.0
TRIES = 3  # a worker that died takes along what was sent to it
KEPT_MODELS = 3

Result = TypeVar("Result")


def can_go_elsewhere(task: object) -> bool:
    """Whether a task takes all that it needs along; live teaching and opening packages do not."""
    return isinstance(task, KINDS) and not getattr(task, "model", "").startswith(LIVE)


def is_connected(client: Any) -> bool:
    """Whether a `distributed.Client` still hears its scheduler."""
    return bool(client.status == "running")


class ElsewhereRunner:
    """Runs tasks on a cluster, one after the other; it is connected to with the first one.

    Parameters
    ----------
    address : str
        See `napari_unet.engine.cluster.Cluster`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._cluster: Cluster | None = None
        self._sent: dict[tuple[Path, int, int], tuple[str, Any]] = {}
        self._thread: threading.Thread | None = None

    def submit(self, task: Task[Result]) -> Job[Result]:
        """Take a task; its arrays must not change until the job is done.

        Raises
        ------
        ComputeError
            If the runner is closed.
        """
        if self._closed.is_set():
            raise ComputeError("The connection was closed; open the plugin again.")
        job = Job(task)
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name="napari-unet elsewhere", daemon=True
            )
            self._thread.start()
        return job

    def close(self) -> None:
        """End unfinished jobs as cancelled; waits two seconds at the most."""
        self._closed.set()
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(2.0)

    # On the thread

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._closed.is_set():
                job.fail(JobCancelledError(CLOSED))
            elif job.cancelled:
                job.fail(JobCancelledError(NOT_BEGUN))
            else:
                self._do(job)
        self._leave()

    def _do(self, job: Job[Any]) -> None:
        try:
            job.finish(self._done(job))
        except NapariUnetError as error:
            job.fail(error)
        except Exception as error:
            self._leave()
            job.fail(as_sentence(error))

    def _done(self, job: Job[Any]) -> Any:
        answer = self._answered(job)
        task: Any = job.task  # of one of the `KINDS`
        try:
            return self._unpacked(answer, task)
        except OSError as error:
            raise InputError(
                f"{task.save_to} could not be written: {error.strerror or error}."
            ) from error

    def _answered(self, job: Job[Any]) -> _Answer:
        """Have a task done, anew where a worker has died with it."""
        cluster = self._connected()
        distributed = _dask()
        for left in reversed(range(TRIES)):
            try:
                return self._tried(job, cluster, distributed)
            except distributed.KilledWorker as error:
                raise ComputeError(
                    f"The workers at {self.address} died again and again while they computed, "
                    "probably for want of memory; give each more, or compute on this computer."
                ) from error
            except distributed.CancelledError as error:  # what was sent has gone with a worker
                self._sent.clear()
                if not left or not is_connected(cluster.client):
                    self._leave()
                    raise self._gone() from error
            except (distributed.comm.CommClosedError, OSError, TimeoutError) as error:
                self._leave()
                raise self._gone() from error
        raise self._gone()

    def _gone(self) -> ComputeError:
        return ComputeError(
            f"The cluster at {self.address} is gone; start it again, or compute on this computer."
        )

    def _tried(self, job: Job[Any], cluster: Cluster, distributed: Any) -> _Answer:
        client = cluster.client
        task, files = self._packed(job.task, client)
        name = f"napari-unet-{uuid4().hex}"
        events = distributed.Queue(name, client=client)
        wishes = distributed.Variable(name, client=client)
        wishes.set(_Wish(job).as_list())
        content = client.scatter(pickle.dumps(task), hash=False)
        future = client.submit(_compute, content, files, name, pure=False)
        try:
            self._follow(job, future, events, wishes)
            answer: _Answer = future.result()
            return answer
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                if future.done():
                    wishes.delete()
                else:
                    wishes.set([True, None])  # it is read once more, there
                    future.cancel()
                events.close()

    def _follow(self, job: Job[Any], future: Any, events: Any, wishes: Any) -> None:
        """Hand on what comes until the task has ended."""
        told, stopped = _Wish(job), 0.0
        while not self._closed.is_set():
            has_ended = future.done()  # asked first: what came before the end is then taken
            if not is_connected(events.client):
                raise self._gone()
            for event in events.get(batch=True):
                job.add_event(pickle.loads(event))
            if has_ended:
                return
            wish = _Wish(job)
            if wish != told:
                wishes.set(wish.as_list())
                told = wish
                stopped = stopped or (time.monotonic() if wish.is_stopped else 0.0)
            grace = getattr(job.task, "grace_s", GRACE_S)
            if stopped and time.monotonic() - stopped > grace:
                raise JobCancelledError(NOT_BEGUN)
            time.sleep(LOOK_EVERY_S)
        raise JobCancelledError(CLOSED)

    def _packed(self, task: Any, client: Any) -> tuple[Any, dict[str, tuple[str, Any]]]:
        """Return the task, and the models that it names as they lie on the cluster."""
        files = {}
        for field in ("model", "base"):
            if not getattr(task, field, ""):
                continue
            try:
                files[field] = self._model(getattr(task, field), client)
            except NapariUnetError:
                if field == "model":
                    raise
                task = replace(task, base="")  # the file is gone, see `TeachTask`
        return task, files

    def _model(self, name: str, client: Any) -> tuple[str, Any]:
        """Return a model's digest and its file on the cluster; it is sent once."""
        path = find_model(name).resolve()
        status = path.stat()
        key = path, status.st_mtime_ns, status.st_size
        if key not in self._sent:
            while len(self._sent) >= KEPT_MODELS:
                del self._sent[next(iter(self._sent))]
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            self._sent[key] = digest, client.scatter(content, hash=False)
        return self._sent[key]

    def _unpacked(self, answer: _Answer, task: Any) -> Any:
        result = answer.result
        if isinstance(result, TeachDone) and answer.file:
            write_beside(Path(task.save_to), answer.file)
            return replace(result, model=task.save_to)
        if isinstance(result, DeviceInfo):
            sentence = result.sentence.replace("this computer", "its processor")
            return replace(result, sentence=f"{self.address}: {sentence}")
        return result

    def _connected(self) -> Cluster:
        if self._cluster is not None and not is_connected(self._cluster.client):
            self._leave()
        if self._cluster is None:
            from napari_unet.engine.cluster import Cluster  # dask is slow to import

            self._cluster = Cluster(self.address, patience=PATIENCE)
        return self._cluster

    def _leave(self) -> None:
        cluster, self._cluster = self._cluster, None
        self._sent.clear()
        if cluster is not None:
            with contextlib.suppress(Exception):  # whatever the network says of a cluster left
                cluster.close()


@dataclass(frozen=True)
class _Wish:
    """What is wanted of a task that runs elsewhere."""

    is_stopped: bool
    center: tuple[float, float] | None

    def __init__(self, job: Job[Any]) -> None:
        object.__setattr__(self, "is_stopped", job.cancelled)
        object.__setattr__(self, "center", job.center)

    def as_list(self) -> list[Any]:
        center = None if self.center is None else [float(value) for value in self.center]
        return [self.is_stopped, center]


@dataclass(frozen=True)
class _Answer:
    """What a task has returned, and the model file that it has written."""

    result: Any
    file: bytes = b""


def _dask() -> Any:
    from napari_unet.engine.cluster import import_distributed  # dask is slow to import

    return import_distributed()


# On a worker. It computes one task at a time, whatever its threads.
_busy = threading.Lock()


def _compute(content: bytes, files: dict[str, tuple[str, bytes]], name: str) -> _Answer:
    """Run a task; what it tells goes into the queue of that name.

    Raises
    ------
    NapariUnetError
        Whatever went wrong, as one sentence.
    """
    try:
        task = _placed(pickle.loads(content), files)
        with _busy, tempfile.TemporaryDirectory() as folder:
            return _run(task, Path(folder), name)
    except Exception as error:
        sentence = as_sentence(error)
        if sentence is error:
            raise
        raise sentence from error


def _placed(task: Any, files: dict[str, tuple[str, bytes]]) -> Any:
    """Write the models that a task names to this worker's disk, each once."""
    here = Path(_dask().get_worker().local_directory)
    for field, (digest, model) in files.items():
        path = here / f"napari-unet-{digest}.safetensors"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_beside(path, model)
        task = replace(task, **{field: str(path)})
    return task


def _run(task: Any, folder: Path, name: str) -> _Answer:
    if getattr(task, "save_to", ""):
        task = replace(task, save_to=str(folder / Path(task.save_to).name))
    distributed = _dask()
    events, wishes = distributed.Queue(name), distributed.Variable(name)
    steps = run_task(task, _AskedWishes(partial(wishes.get, ANSWER_S)))
    try:
        while True:
            events.put(pickle.dumps(next(steps)))
    except StopIteration as end:
        result = end.value
    finally:
        steps.close()
    written = getattr(result, "model", "")
    return _Answer(result, Path(written).read_bytes() if written else b"")


class _AskedWishes(Wishes):
    """Asks the scheduler now and then; where nobody answers, nobody wants it any more."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        super().__init__(self._is_stopped)
        self._ask = ask
        self._next = 0.0
        self._stop = False

    def _is_stopped(self) -> bool:
        now = time.monotonic()
        if now >= self._next:
            try:
                self._stop, center = self._ask()
            except (OSError, TimeoutError):
                self._stop, center = True, None
            self.center = None if center is None else cast(tuple[float, float], tuple(center))
            self._next = time.monotonic() + WISH_EVERY_S
        return self._stop
