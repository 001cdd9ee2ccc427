"""One training in several processes: how they are started, what each does alone, and how they end together.

The batch of the run stays what was agreed: N devices share it, so that steps, rows and the loss are those of one.
"""

import ctypes
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PEERS = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "process group", "socket timeout")
"""What torch says where another rank is gone."""
SHARDED_SHARE = 0.9
"""Of a device's memory: a model that takes more on one is cut into shards."""


def world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def launch(python: str, gpus: int, has_gpu: bool, is_sharded: bool, child: Sequence[str]) -> list[str]:
    """The command that runs `child` (`-m engine train FOLDER`) in `gpus` ranks on this machine.

    On GPUs by `accelerate launch`: DDP, or FSDP where one device would not hold it; on processors by torchrun, which
    it would call too.
    """
    if not has_gpu:
        alone = ["--standalone", "--nnodes=1", f"--nproc-per-node={gpus}"]
        return [python, "-P", "-m", "torch.distributed.run", *alone, *child]
    shards = [
        *(
            "--use_fsdp",
            "--fsdp_version=2",
            "--fsdp_reshard_after_forward=true",
            "--fsdp_state_dict_type=FULL_STATE_DICT",
        ),
        *("--fsdp_auto_wrap_policy=TRANSFORMER_BASED_WRAP", "--fsdp_cpu_ram_efficient_loading=false"),
    ]
    count = [f"--num_processes={gpus}", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    how = shards if is_sharded else ["--multi_gpu"]
    return [python, "-P", "-m", "accelerate.commands.launch", *how, *count, "--main_process_port=0", *child]


def become_ranks(folder: Path, gpus: int, is_sharded: bool = False) -> None:
    """Go on as the launcher of `gpus` ranks of this training, in this very process, which its runner watches."""
    has_gpu = importlib.util.find_spec("torch") is not None and _has_gpu()
    command = launch(sys.executable, gpus, has_gpu, is_sharded, ["-m", "engine", "train", str(folder)])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.execv(command[0], command)  # noqa: S606  # our own interpreter


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def die_with_launcher() -> None:
    """A launcher that is killed must not leave its ranks, each in a session of its own, on the devices."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def arguments(has_gpu: bool) -> dict[str, Any]:
    """What a trainer's config gets besides, of a training in several ranks."""
    return {
        "ddp_backend": "nccl" if has_gpu else "gloo",
        "ddp_find_unused_parameters": False,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }


def agreed(wish: str) -> str:
    """The strongest wish of all ranks, the same for each: `drop` before `save` before none. Called by all at once."""
    if world() == 1:
        return wish
    import torch
    import torch.distributed as dist

    words = ("", "save", "drop")
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    strongest = torch.tensor(words.index(wish), device=device)
    dist.all_reduce(strongest, dist.ReduceOp.MAX)
    return words[int(strongest)]


def together(rows: set[int]) -> set[int]:
    """The union over all ranks, called by all at once."""
    if world() == 1:
        return rows
    import torch.distributed as dist

    found: list[set[int]] = [set()] * world()
    dist.all_gather_object(found, rows)
    return set().union(*found)


def wait_for_all() -> None:
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()


def part() -> None:
    """The ranks take leave of each other; one that just ended would be taken for broken. Called by all at once."""
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()
        dist.destroy_process_group()


def is_peers_fault(error: BaseException) -> bool:
    """Whether the error only says that another rank is gone."""
    text = str(error).lower()
    return world() > 1 and isinstance(error, RuntimeError) and any(sign in text for sign in PEERS)


def leave_failure(folder: Path, failure: Any) -> None:
    """What broke a rank other than the first, for the first one to report."""
    words = json.dumps({"code": failure.code, "reason": failure.reason})
    (folder / f"rank-{rank()}.failed").write_text(words, encoding="utf-8")


def peers_failure(folder: Path) -> dict[str, str] | None:
    """What another rank left before it went; None where it went without a word."""
    for path in sorted(folder.glob("rank-*.failed")):
        return dict(json.loads(path.read_text(encoding="utf-8")))
    return None
