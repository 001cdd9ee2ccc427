"""The child that trains: `python -m engine train FOLDER`. It reads the run's folder, writes events, and ends."""

import gc
import hashlib
import math
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.events import EventLog, read_events
from engine.folder import RunFolder
from engine.jobs import Answer
from engine.plan.parameters import complete
from engine.work.elsewhere import ranks
from engine.work.plot import draw
from engine.work.speed.choices import keep_compiled
from engine.work.training.checkpoints import step_of
from engine.work.training.resume import checkpoint_to_resume, history, smaller
from engine.work.training.room import check_room
from engine.work.training.rows import rehearse
from engine.work.training.task import Failure, Task, Work, explain, is_out_of_memory


def train(path: Path) -> bool:
    """Train what the run's folder asks for; True when its last event is `finished`.

    However it ends, the last event says so: finished, stopped, or failed with a sentence for people.
    """
    # Threads that spin while they wait make a step six times as long as soon as anything else runs on the machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    folder = RunFolder(path)
    gpus = int(folder.read_spec().parameters.get("gpus", 1))
    if "RANK" in os.environ:
        ranks.die_with_launcher()
    elif gpus > 1:
        ranks.become_ranks(path, gpus)
    else:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # TRL refuses several devices in one process
    return train_here(folder)


def train_here(folder: RunFolder) -> bool:
    """The training of this process, which may be one of several ranks: only the first reports."""
    keep_compiled(folder.path.resolve().parent / ".compiled")
    attempt = folder.current_attempt("train")
    log = EventLog(attempt.folder, attempt.run, attempt.name)
    spec = folder.read_spec()
    task = Task(folder, spec, complete(spec.method, spec.parameters), attempt, log)
    try:
        return carry_out(task)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        failure = explain(error)
        if ranks.is_peers_fault(error):
            said = ranks.peers_failure(attempt.folder)
            if not said:
                return False  # a rank is gone without a word: the attempt is, and the next one goes on
            failure = Failure(said["code"], said["reason"])
        if ranks.rank():
            ranks.leave_failure(attempt.folder, failure)
        if is_out_of_memory(error):
            task.report("out_of_memory", step=last_step(task))
        task.report("failed", reason=failure.reason, code=failure.code)
        return False


def carry_out(task: Task) -> bool:
    """Load, measure and ask the base, train, measure, save, load what was saved and ask it: in this order."""
    quieten()
    task.report("phase", phase="loading")
    check_room(task)
    task = smaller(task)
    checkpoint = checkpoint_to_resume(task)
    work: Work = import_module(f"engine.methods.{task.spec.method}").prepare(task)
    if task.spec.method != "mlm":  # which words are masked is drawn anew for each batch
        rehearse(work.trainer, task.whole("batch_size"))
    watch = watched(task, work, step_of(checkpoint))
    metrics = {f"base_{name}": value for name, value in evaluate(task, work, 0).items()}
    task.report("phase", phase="answering")
    before = work.answer(work.trainer.model)
    started = time.monotonic()
    task.report("phase", phase="training")
    work.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    train_s = time.monotonic() - started
    if watch.stop == "drop":
        return stopped(task, work)
    metrics |= evaluate(task, work, work.trainer.state.global_step)
    metrics |= {"train_loss": sum(watch.losses[-10:]) / max(1, len(watch.losses[-10:]))}
    save_output(task, work)
    if watch.stop:
        return stopped(task, work)
    check_all_steps(work)
    rows = len(ranks.together(watch.collator.rows))
    ranks.part()
    if ranks.rank():
        return True  # what is left to do, one process does
    after = answer_back(task, work)
    answers = [
        asdict(Answer(question.shown, base, tuned, question.expected))
        for question, base, tuned in zip(work.questions, before, after, strict=True)
    ]
    draw(history(task), task.attempt.folder / "loss.png", f"{task.spec.method} on {task.spec.model.id}")
    task.report(
        "finished",
        metrics={name: round(value, 6) for name, value in metrics.items()},
        answers=answers,
        are_answers_held_out=work.are_held_out,
        train_s=round(train_s, 2),
        rows=rows,
        template_sha256=template_sha256(work.tokenizer),
    )
    return True


def template_sha256(tokenizer: Any) -> str:
    """Of the chat template that the rows were written by; empty where there is none."""
    template = getattr(tokenizer, "chat_template", None)
    return hashlib.sha256(str(template).encode()).hexdigest() if template else ""


def quieten() -> None:
    """Libraries say what they must in the log, without bars, and ask the network for nothing."""
    import datasets
    import transformers

    warnings.filterwarnings("ignore", category=FutureWarning)  # between the libraries: nobody who trains can mend it
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()


def watched(task: Task, work: Work, step: int) -> Any:
    """Put the watch on the trainer, and say how many steps there will be, and after which one it begins."""
    from transformers import PrinterCallback

    from engine.work.training.loop import CountingCollator, Watch, planned_steps
    from engine.work.training.weights import has_gpu

    collator = CountingCollator(work.trainer.data_collator)
    work.trainer.data_collator = collator
    work.trainer.remove_callback(PrinterCallback)
    watch = Watch(task, collator, lambda step: evaluate(task, work, step))
    work.trainer.add_callback(watch)
    steps = planned_steps(task, len(work.trainer.train_dataset))
    task.report("started", step=step, steps=steps, has_gpu=has_gpu())
    return watch


def evaluate(task: Task, work: Work, step: int) -> dict[str, float]:
    """The metrics on held-out rows as the model stands; an event only where there are any."""
    task.report("phase", phase="evaluating")
    metrics = work.measure(work.trainer.model)
    if not all(math.isfinite(value) for value in metrics.values()):
        whose = "trained model's" if step else "base model's own"
        raise Failure("nan", f"The {whose} held-out loss is not a number: nothing was kept.")
    if metrics:
        task.report("evaluated", step=step, **{name: round(value, 6) for name, value in metrics.items()})
    return metrics


def save_output(task: Task, work: Work) -> None:
    from engine.work.training.weights import save

    task.report("phase", phase="saving")
    if not ranks.rank():
        save(task, work.trainer.accelerator.unwrap_model(work.trainer.model), work.tokenizer)


def answer_back(task: Task, work: Work) -> list[str]:
    """The answers of what lies in the output folder, loaded as anybody would: so it is known to load."""
    task.report("phase", phase="answering")
    free(work.trainer)
    return work.answer(work.load_back())


def free(trainer: Any) -> None:
    """Let go of model and optimizer, so that what was saved can be loaded in their place."""
    import torch

    trainer.accelerator.free_memory()
    trainer.model = trainer.model_wrapped = trainer.optimizer = trainer.lr_scheduler = None
    trainer.callback_handler.model = trainer.callback_handler.optimizer = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def stopped(task: Task, work: Work) -> bool:
    ranks.part()
    state = work.trainer.state
    task.report("stopped", step=state.global_step, steps=state.max_steps)
    return False


def check_all_steps(work: Work) -> None:
    """A trainer may return early without an error: half a model must not pass for a whole one."""
    state = work.trainer.state
    if state.global_step < state.max_steps:
        raise Failure("crash", f"The training ended at step {state.global_step} of {state.max_steps}: start it again.")


def last_step(task: Task) -> int:
    steps = [event.data["step"] for event in read_events(task.log.path) if event.kind == "step"]
    return max(steps, default=0)


Prepare = Callable[[Task], Work]
"""What each file of `engine.methods` offers as `prepare`."""
