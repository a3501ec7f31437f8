"""Several processes that train one network together, each on a graphics card of its own.

They are started by torchrun, which tells each of them its number. Each draws its own batches, every
so many of one sequence, and gradients are averaged by torch's DistributedDataParallel: a step of n
processes is that of one process that accumulates n batches. A process by itself is a team of one,
to which none of this happens.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from napari_unet.core.device import choose_device

__all__ = ["Team", "join_team", "joined_team", "leave_team"]


def _size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that train together.

    Attributes
    ----------
    rank, size : int
        Which of them this one is, of how many.
    """

    rank: int = 0
    size: int = 1

    def shared(self, network: nn.Module, *, all_used: bool) -> nn.Module:
        """Return the network so that its gradients are averaged over the team.

        Parameters
        ----------
        network : nn.Module
            The first process's weights become those of all.
        all_used : bool
            Whether the loss depends on every weight that learns.
        """
        if self.size == 1:
            return network
        return DistributedDataParallel(network, find_unused_parameters=not all_used)

    def any(self, here: bool) -> bool:
        """Whether it is so in any of the processes; all of them must ask."""
        if self.size == 1:
            return here
        flag = torch.tensor(float(here), device=self._device())
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return bool(flag)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a number over the team; all of them must ask."""
        if self.size == 1:
            return value
        total = value.detach().clone().to(self._device())
        torch.distributed.all_reduce(total)
        return total / self.size

    @staticmethod
    def _device() -> torch.device:
        """Where the team can exchange numbers."""
        on_card = torch.distributed.get_backend() == "nccl"
        return torch.device("cuda" if on_card else "cpu")


def join_team(device: str = "auto") -> Team:
    """Meet the other processes that torchrun started; alone if it did not.

    Parameters
    ----------
    device : str
        As in `napari_unet.core.device`; of graphics cards each process takes its own.
    """
    if _size() == 1:
        return Team()
    is_cuda = choose_device(device).type == "cuda"
    if is_cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if is_cuda else "gloo")
    return Team(torch.distributed.get_rank(), torch.distributed.get_world_size())


def leave_team(team: Team) -> None:
    """Say goodbye: another training of this process may meet them anew."""
    if team.size > 1 and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def joined_team(device: str = "auto") -> Generator[Team]:
    """Meet the other processes, see `join_team`, and leave them however training ends."""
    team = join_team(device)
    try:
        yield team
    finally:
        leave_team(team)
