"""A training over several nodes of a Ray cluster: `python -m adapters.executors.ray.nodes GPUS USES_GPU train FOLDER`.

Runs on the cluster, as the child of our runner. Ray Train starts the workers, a rank each, and starts them anew when
a node is lost; they go on from the run's last whole checkpoint, since the folder is on a path that all nodes reach.
The wish to end is the file `stop` there, as everywhere: the training's thread gets no signals.
"""

import os
import sys
import tempfile
from pathlib import Path

MOST_FAILURES = 3
"""How often the workers of one attempt are started anew."""


def work(config: dict[str, str]) -> None:
    """One rank. Raises where it did not end well, so that Ray Train starts all of them anew, unless we said how."""
    from engine.events import read_events
    from engine.folder import ATTEMPT_VARIABLE, RunFolder
    from engine.work.train import train_here

    os.environ.update({"OMP_WAIT_POLICY": "PASSIVE", ATTEMPT_VARIABLE: config["attempt"]})
    folder = RunFolder(Path(config["folder"]))
    if train_here(folder):
        return
    events = read_events(folder.current_attempt("train").folder / "events.jsonl")
    if not events or events[-1].kind not in ("failed", "stopped", "finished"):
        raise RuntimeError("a rank ended without a word")


def lead(gpus: int, uses_gpu: bool, folder: Path) -> int:
    """The exit code: 0 only where the last event is `finished`."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    from engine.events import read_events
    from engine.folder import ATTEMPT_VARIABLE, RunFolder

    ray.init(address="auto", log_to_driver=True)
    attempt = os.environ[ATTEMPT_VARIABLE]
    with tempfile.TemporaryDirectory(prefix="threadtune-") as scratch:
        trainer = TorchTrainer(
            work,
            train_loop_config={"folder": str(folder), "attempt": attempt},
            torch_config=TorchConfig(backend="nccl" if uses_gpu else "gloo"),
            scaling_config=ScalingConfig(num_workers=gpus, use_gpu=uses_gpu),
            run_config=RunConfig(
                name="train", storage_path=scratch, failure_config=FailureConfig(max_failures=MOST_FAILURES)
            ),
        )
        trainer.fit()
    events = read_events(RunFolder(folder).current_attempt("train").folder / "events.jsonl")
    return 0 if events and events[-1].kind == "finished" else 1


if __name__ == "__main__":
    gpus, uses_gpu, _kind, folder = sys.argv[1:]
    sys.exit(lead(int(gpus), uses_gpu == "1", Path(folder)))
