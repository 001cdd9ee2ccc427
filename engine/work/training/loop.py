"""The training loop: its arguments in one place, and what watches it (progress, the stop file, NaN)."""

import math
import resource
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from engine import fault
from engine.plan import estimate
from engine.plan.shares import shared
from engine.work.elsewhere import ranks
from engine.work.speed import choices
from engine.work.training.checkpoints import mark_complete
from engine.work.training.hints import Curves, hints
from engine.work.training.resume import keep_learning_rate, told_hints
from engine.work.training.rows import leave_step
from engine.work.training.task import Failure, Task
from engine.work.training.weights import has_gpu

STOP_FILE = "stop"
RECENT = 20
"""Steps by which speed and the time left are judged."""


def arguments(task: Task, rows: int) -> dict[str, Any]:
    """What every trainer's config gets. No token, no report to anybody; the first figure that is none must be seen."""
    made = chosen(task, rows)
    choices.tell(made)
    batch, accumulation = shared(*choices.batch_and_accumulation(made, task.settings), ranks.world())
    is_gpu = has_gpu()
    steps = planned_steps(task, rows)
    save_steps = task.whole("save_steps") or max(50, math.ceil(steps / 5))
    return {
        "output_dir": str(task.folder.checkpoints),
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "learning_rate": task.number("learning_rate"),
        "num_train_epochs": task.number("epochs"),
        "max_steps": task.whole("max_steps") or -1,
        "warmup_steps": math.ceil(steps * task.number("warmup_ratio")),
        "weight_decay": task.number("weight_decay"),
        "max_grad_norm": task.number("max_grad_norm"),
        "lr_scheduler_type": str(task.settings["scheduler"]),
        "optim": str(task.settings["optimizer"]),
        "seed": task.whole("seed"),
        "gradient_checkpointing": task.is_on("gradient_checkpointing"),
        **choices.trainer_arguments(made),
        "use_cpu": not is_gpu,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": is_gpu,
        "save_strategy": "steps",
        "save_steps": save_steps,
        "save_total_limit": 2,
        "eval_strategy": "no",
        "logging_steps": 1,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "push_to_hub": False,
        "disable_tqdm": True,
        **(ranks.arguments(is_gpu) if ranks.world() > 1 else {}),
    }


def chosen(task: Task, rows: int) -> list[choices.Choice]:
    """What is done for speed, here, with `rows` rows."""
    import torch

    machine = choices.machine_here()
    seconds = 0.0
    if machine.has_gpu and task.settings.get("packing"):
        memory_gb = torch.cuda.get_device_properties(0).total_memory / estimate.GB
        seconds = choices.expected_s(task.settings, rows, task.folder.model, memory_gb)
    return choices.choices(choices.Job(task.spec.method, task.settings, seconds), machine)


def planned_steps(task: Task, rows: int) -> int:
    """Optimizer steps of the whole training on one device."""
    return estimate.planned_steps(task.settings, rows)


def pays_to_know_reference(task: Task, rows: int) -> bool:
    """Whether the base scores each of `rows` once before training: where all are seen, or no lora can be taken off."""
    seen = planned_steps(task, rows) * task.whole("batch_size") * task.whole("gradient_accumulation")
    return not task.is_on("lora") or seen >= rows


OURS = ("row", "rows", "length")
"""Columns that are counted here and that no collator knows."""


class CountingCollator:
    """Counts the tokens, without padding, and the distinct rows of the batches that a trainer's own collator makes."""

    def __init__(self, collate: Any) -> None:
        self.collate = collate
        self.tokens = 0
        self.rows: set[int] = set()
        self.batches: deque[set[int]] = deque()
        """The rows of each batch that was collated and not yet learned: loaders are a batch ahead."""

    def __call__(self, rows: list[Any]) -> Any:
        self.batches.append({number for row in rows for number in (row["rows"] if "rows" in row else [row["row"]])})
        self.rows |= self.batches[-1]
        batch = self.collate([{name: row[name] for name in row if name not in OURS} for row in rows])
        masks = [value for name, value in batch.items() if name.endswith("attention_mask") and value.ndim == 2]
        packed = [batch["input_ids"]] if not masks and "input_ids" in batch else []
        self.tokens += sum(int(mask.sum()) for mask in masks) + sum(ids.numel() for ids in packed)
        return batch


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Reports each step, ends the training at the stop file or at the first loss or gradient that is not finite."""

    def __init__(self, task: Task, collator: CountingCollator, evaluate: Callable[[int], dict[str, float]]) -> None:
        self.task = task
        self.collator = collator
        self.evaluate = evaluate
        self.stop = ""
        """What the stop file asked for: `save`, `drop`, or nothing yet."""
        self.losses: list[float] = []
        self.grad_norms: list[float] = []
        self.held_out: list[tuple[int, float]] = []
        self.hints = told_hints(task)
        self.step_rows: set[int] = set()
        """The rows of the step at work, or of the last one."""
        self.is_new_step = True
        self.recent: deque[tuple[float, int]] = deque(maxlen=RECENT + 1)
        """When each of the last steps ended, and how many tokens had been seen by then."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **have: Any) -> None:
        keep_learning_rate(self.task.number("learning_rate"), have.get("optimizer"), have.get("lr_scheduler"))
        self.recent.append((time.monotonic(), self.collator.tokens))

    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.note_rows(is_last=False)

    def note_rows(self, *, is_last: bool) -> None:
        """One batch was learned; with the last one of a step its rows stand until the next step begins."""
        learned = self.collator.batches.popleft() if self.collator.batches else set()
        self.step_rows = learned if self.is_new_step else self.step_rows | learned
        self.is_new_step = is_last

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.note_rows(is_last=True)
        self.recent.append((time.monotonic(), self.collator.tokens))
        if state.global_step >= state.max_steps:
            control.should_save = False  # what comes next is the output itself
            return
        self.stop = ranks.agreed(asked_to_stop(self.task.attempt.folder))
        if self.stop:
            control.should_training_stop = True
            control.should_save = self.stop == "save"

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs is None or "loss" not in logs:
            return
        loss, grad_norm = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            leave_step(self.task, state.global_step, self.step_rows)
        check_finite(state.global_step, loss, grad_norm)
        self.losses.append(loss)
        self.grad_norms.append(grad_norm)
        self.hint()
        if state.global_step % self.task.whole("logging_steps") and state.global_step < state.max_steps:
            return
        step_s, tokens_per_s = speed(self.recent)
        self.task.report(
            "step",
            step=state.global_step,
            steps=state.max_steps,
            loss=round(loss, 6),
            learning_rate=logs.get("learning_rate"),
            grad_norm=round(grad_norm, 6),
            tokens_per_s=round(tokens_per_s, 1),
            memory_gb=round(peak_memory_gb(), 3),
            left_s=round(step_s * (state.max_steps - state.global_step), 1),
        )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        ranks.wait_for_all()  # each rank writes a part of a checkpoint
        fault.point("train.unmarked")
        if not ranks.rank():
            mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        self.task.report("checkpoint", step=state.global_step)
        if not self.stop:
            self.measure(state.global_step)

    def measure(self, step: int) -> None:
        """The held-out figures as the model stands; what that takes is no training time."""
        metrics = self.evaluate(step)
        if "eval_loss" in metrics:
            self.held_out.append((step, metrics["eval_loss"]))
            self.hint()
        self.task.report("phase", phase="training")
        self.recent.clear()
        self.recent.append((time.monotonic(), self.collator.tokens))

    def hint(self) -> None:
        for name, text in hints(Curves(self.losses, self.grad_norms, self.held_out)).items():
            if name not in self.hints:
                self.hints.add(name)
                self.task.report("warning", text=text, hint=name)


def peak_memory_gb() -> float:
    """The most that was held at once: of the GPU by torch, else of this process (ru_maxrss is in KiB)."""
    import torch

    if has_gpu():
        return float(torch.cuda.max_memory_reserved()) / estimate.GB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / estimate.GB


def asked_to_stop(folder: Path) -> str:
    """`save` or `drop` where a stop file lies in the attempt's folder; whatever else it says means `drop`."""
    path = folder / STOP_FILE
    if not path.exists():
        return ""
    return "save" if path.read_text(encoding="utf-8").strip() == "save" else "drop"


def check_finite(step: int, loss: float, grad_norm: float) -> None:
    if math.isfinite(loss) and math.isfinite(grad_norm):
        return
    raise Failure(
        "nan",
        f"The loss is no longer a number (step {step}), so the training was ended. "
        "Half the learning_rate usually helps; if not, look for rows that are empty or garbled.",
    )


def speed(recent: deque[tuple[float, int]]) -> tuple[float, float]:
    """Seconds a step and tokens a second, over the steps that are in `recent`."""
    (start, first), (end, last) = recent[0], recent[-1]
    took = max(end - start, 1e-9)
    return took / max(1, len(recent) - 1), ranks.world() * (last - first) / took
