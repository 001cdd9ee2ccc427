"""The child that answers: `python -m engine ask FOLDER`. It loads base and result once, and follows the questions."""

import json
import os
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
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
Turns = Sequence[tuple[str, str]]
"""What was asked before in the same conversation, and what was answered."""
Speak = Callable[[str, Turns], str]


@dataclass(frozen=True)
class Pair:
    """The same prompt goes to both."""

    base: Speak
    tuned: Speak


@dataclass(frozen=True)
class Talk:
    """A conversation in one place: each of the two remembers its own answers."""

    base: list[tuple[str, str]] = field(default_factory=list)
    tuned: list[tuple[str, str]] = field(default_factory=list)


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
        talks: dict[str, Talk] = defaultdict(Talk)
        for key, text, place in follow(attempt.folder / QUESTIONS, idle_s, is_stopped):
            talk = talks[place] if place else Talk()
            base, tuned = pair.base(text, talk.base), pair.tuned(text, talk.tuned)
            if not is_stopped():  # a half answer is none: it is asked again
                log.write("answered", key=key, base=base, tuned=tuned)
                talk.base.append((text, base))
                talk.tuned.append((text, tuned))
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
        yield text, pair.base(text, ()), pair.tuned(text, ())


def follow(path: Path, idle_s: float, is_stopped: Callable[[], bool]) -> Iterator[tuple[str, str, str]]:
    """The key, text and place of each question in the file, and of those that come while it is read; none twice."""
    seen: set[str] = set()
    until = time.monotonic() + idle_s
    while not is_stopped() and time.monotonic() < until:
        fresh = {line["key"]: line for line in read(path) if line["key"] not in seen}
        for key, line in fresh.items():
            if is_stopped():
                return
            seen.add(key)
            yield key, line["text"], line.get("place", "")
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
        return Pair(lambda *_: "no score: its head is new", partial(speak, tuned))
    if (trained.folder / "output" / "adapter_config.json").exists():
        return Pair(partial(without_lora, tuned, speak), partial(speak, tuned))
    base = weights.to_device(weights.load_model(task, kind))
    return Pair(partial(speak, base), partial(speak, tuned))


def without_lora(model: Any, speak: Callable[[Any, str, Turns], str], text: str, before: Turns) -> str:
    with model.disable_adapter():
        return speak(model, text, before)


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


def speaker(
    method: str, tokenizer: Any, has_turns: bool, is_stopped: Callable[[], bool]
) -> Callable[[Any, str, Turns], str]:
    """What a method's model says to a text: an answer, filled masks, or a score."""
    if method == "mlm":
        return lambda model, text, _: filled(model, tokenizer, text)
    if method == "reward":
        return lambda model, text, _: scored(model, tokenizer, text)
    return lambda model, text, before: continued(model, tokenizer, text, before, has_turns, is_stopped)


def asked_ids(tokenizer: Any, text: str, before: Turns, has_turns: bool) -> list[int]:
    """A question after the turns before it, of which the oldest go where there is no room for all; a model of plain
    texts writes on from the text alone."""
    from engine.data.encoding import render

    limit = max(8, min(tokenizer.model_max_length, 4096) - NEW_TOKENS)
    if not has_turns:
        ids: list[int] = tokenizer(text, return_token_type_ids=False)["input_ids"][-limit:]
        return ids[:-1] if len(ids) > 1 and ids[-1] == tokenizer.eos_token_id else ids
    names = ("user", "assistant")
    said = [{"role": role, "content": words} for turn in before for role, words in zip(names, turn, strict=True)]
    prompt = render(tokenizer, [*said, {"role": "user", "content": text}], asks=True)
    ids = tokenizer(prompt, add_special_tokens=False, return_token_type_ids=False)["input_ids"]
    return ids[-limit:] if len(ids) <= limit or not before else asked_ids(tokenizer, text, before[1:], has_turns)


def continued(
    model: Any, tokenizer: Any, text: str, before: Turns, has_turns: bool, is_stopped: Callable[[], bool]
) -> str:
    """The likeliest continuation: always the same for the same weights. It breaks off where a training waits."""
    import torch
    from transformers import GenerationConfig, StoppingCriteriaList

    from engine.work.training.losses import measuring

    ids = asked_ids(tokenizer, text, before, has_turns)
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
