"""The child that answers: `python -m engine ask FOLDER`. It loads base and result once, and follows the questions."""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.events import EventLog
from engine.folder import RunFolder
from engine.plan.parameters import complete
from engine.work.asking import QUESTIONS
from engine.work.training.task import Failure, Task, explain

IDLE_S = 300.0
"""How long it waits for the next question before it ends and frees the memory."""
LOOK_S = 0.2
NEW_TOKENS = 160
MASKS = ("[MASK]", "<mask>", "___")
"""How people write the place of a word that an encoder is to fill."""
Speak = Callable[[str], str]


@dataclass(frozen=True)
class Pair:
    """The same prompt goes to both."""

    base: Speak
    tuned: Speak


def ask(path: Path, idle_s: float = IDLE_S) -> bool:
    """Answer until nobody has asked for `idle_s`, or until the stop file; True unless it broke."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    folder = RunFolder(path)
    attempt = folder.current_attempt("ask")
    log = EventLog(attempt.folder, attempt.run, attempt.name)

    def is_stopped() -> bool:
        return (attempt.folder / "stop").exists()

    try:
        log.write("phase", phase="loading")
        pair = load(folder, log, is_stopped)
        log.write("started")
        for key, text in follow(attempt.folder / QUESTIONS, idle_s, is_stopped):
            base, tuned = pair.base(text), pair.tuned(text)
            if not is_stopped():  # a half answer is none: it is asked again
                log.write("answered", key=key, base=base, tuned=tuned)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        failure = explain(error)
        log.write("failed", reason=failure.reason.replace("The training", "Answering"), code=failure.code)
        return False
    log.write("stopped" if is_stopped() else "finished")
    return True


def ask_once(path: Path, texts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each text with the answer of the base and that of the result, without a chat."""
    folder = RunFolder(path)
    attempt = folder.current_attempt("ask")
    pair = load(folder, EventLog(attempt.folder, attempt.run, attempt.name), lambda: False)
    for text in texts:
        yield text, pair.base(text), pair.tuned(text)


def follow(path: Path, idle_s: float, is_stopped: Callable[[], bool]) -> Iterator[tuple[str, str]]:
    """The key and text of each question in the file, and of those that come while it is read; none twice."""
    seen: set[str] = set()
    until = time.monotonic() + idle_s
    while not is_stopped() and time.monotonic() < until:
        fresh = {line["key"]: line["text"] for line in read(path) if line["key"] not in seen}
        for key, text in fresh.items():
            if is_stopped():
                return
            seen.add(key)
            yield key, text
            until = time.monotonic() + idle_s
        if not fresh:
            time.sleep(LOOK_S)


def read(path: Path) -> list[dict[str, str]]:
    """The whole lines of the file; one that is still being written is left for later."""
    try:
        *whole, _unfinished = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in whole]


def load(folder: RunFolder, log: EventLog, is_stopped: Callable[[], bool]) -> Pair:
    """Base and result, ready to be asked. One model in memory where a lora was trained, two for a full training."""
    from transformers import AutoTokenizer, set_seed

    from engine.work.train import quieten
    from engine.work.training import weights

    quieten()
    trained = folder.finished("train")
    if trained is None:
        raise Failure("data", "This run has no trained model here.")
    spec = folder.read_spec()
    task = Task(folder, spec, complete(spec.method, spec.parameters), trained, log)
    set_seed(task.whole("seed"))
    kind = {"reward": "SequenceClassification", "mlm": "MaskedLM"}.get(spec.method, "CausalLM")
    tokenizer = AutoTokenizer.from_pretrained(trained.folder / "output", **weights.LOCAL)
    tuned = weights.load_result(task, kind)
    tuned.config.pad_token_id = tokenizer.pad_token_id
    speak = speaker(spec.method, tokenizer, has_turns(folder, tokenizer), is_stopped)
    if spec.method == "reward":
        return Pair(lambda _: "no score: its head is new", lambda text: speak(tuned, text))
    if (trained.folder / "output" / "adapter_config.json").exists():
        return Pair(lambda text: without_lora(tuned, speak, text), lambda text: speak(tuned, text))
    base = weights.to_device(weights.load_model(task, kind))
    return Pair(lambda text: speak(base, text), lambda text: speak(tuned, text))


def without_lora(model: Any, speak: Callable[[Any, str], str], text: str) -> str:
    with model.disable_adapter():
        return speak(model, text)


def has_turns(folder: RunFolder, tokenizer: Any) -> bool:
    """Whether it was trained on conversations, so that a question has to be one; plain texts are written on."""
    import pyarrow as pa

    if tokenizer.chat_template is None:
        return False
    path = folder.rows("train")
    if not path.exists():
        return True
    with pa.memory_map(str(path)) as source:
        schema = pa.ipc.open_stream(source).schema
    return any(pa.types.is_list(field.type) for field in schema)


def speaker(method: str, tokenizer: Any, has_turns: bool, is_stopped: Callable[[], bool]) -> Callable[[Any, str], str]:
    """What a method's model says to a text: an answer, filled masks, or a score."""
    if method == "mlm":
        return lambda model, text: filled(model, tokenizer, text)
    if method == "reward":
        return lambda model, text: scored(model, tokenizer, text)
    return lambda model, text: continued(model, tokenizer, text, has_turns, is_stopped)


def continued(model: Any, tokenizer: Any, text: str, has_turns: bool, is_stopped: Callable[[], bool]) -> str:
    """The likeliest continuation: always the same for the same weights. It breaks off where a training waits."""
    import torch
    from transformers import GenerationConfig, StoppingCriteriaList

    from engine.data.encoding import render
    from engine.work.training.losses import measuring

    prompt = render(tokenizer, [{"role": "user", "content": text}], asks=True) if has_turns else text
    limit = max(8, min(tokenizer.model_max_length, 4096) - NEW_TOKENS)
    ids = tokenizer(prompt, add_special_tokens=not has_turns, return_token_type_ids=False)["input_ids"][-limit:]
    if not has_turns and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    inputs = torch.tensor([ids], device=model.device)
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )

    def is_over(tokens: Any, *_: Any, **__: Any) -> Any:
        return torch.full((len(tokens),), is_stopped(), device=tokens.device)

    with measuring(model):
        tokens = model.generate(
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([is_over]),
        )
    return str(tokenizer.decode(tokens[0, len(ids) :], skip_special_tokens=True)).strip()


def filled(model: Any, tokenizer: Any, text: str) -> str:
    from engine.work.training.samples import fill_masks
    from engine.work.training.task import Question

    for mask in MASKS:
        text = text.replace(mask, tokenizer.mask_token)
    if tokenizer.mask_token not in text:
        return f"Write {MASKS[0]} where a word is to be filled in."
    return fill_masks(model, tokenizer, [Question(text, text, "")])[0]


def scored(model: Any, tokenizer: Any, text: str) -> str:
    from engine.data.encoding import plain
    from engine.work.training.losses import rewards

    ids = plain(tokenizer, text)
    ((value, _),) = rewards(model, [{"chosen_ids": ids, "rejected_ids": ids}], tokenizer.pad_token_id)
    return f"{value:+.2f}"
