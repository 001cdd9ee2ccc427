"""The model card: what the model is, from what and how it was made, how well it does, how it is loaded.

Pure: facts in, Markdown out, the same for the same facts. What people or models wrote stands in fences or is escaped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from engine.jobs import Answer, JobSpec, Value

TASKS = {"reward": "text-classification", "mlm": "fill-mask"}
TASK = "text-generation"
NAMES = {
    "sft": "supervised fine-tuning (SFT)",
    "clm": "causal language modelling",
    "dpo": "direct preference optimisation (DPO)",
    "orpo": "odds-ratio preference optimisation (ORPO)",
    "reward": "reward modelling",
    "mlm": "masked language modelling",
    "kto": "Kahneman-Tversky optimisation (KTO)",
}
LONGEST_ANSWER = 1500
"""Characters of a prompt or an answer that the card shows."""
PICTURE = "loss.png"
HEADS = {"reward": "SequenceClassification", "mlm": "MaskedLM"}
LORA_CLASSES = {
    "CausalLM": "AutoPeftModelForCausalLM",
    "SequenceClassification": "AutoPeftModelForSequenceClassification",
}

CHAT = """
messages = [{"role": "user", "content": "Hello!"}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(output[0][inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""
PLAIN = """
inputs = tokenizer("Hello", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(output[0], skip_special_tokens=True))
"""
SCORE = """
for text in ("Question: 2 + 2?\\nAnswer: 4.", "Question: 2 + 2?\\nAnswer: 5."):
    inputs = tokenizer(text, return_tensors="pt")
    print(round(model(**inputs).logits[0, 0].item(), 3), text.splitlines()[1])  # higher is better
"""
FILL = """
inputs = tokenizer(f"The answer is {tokenizer.mask_token}.", return_tensors="pt")
place = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0, 0]
print(tokenizer.decode(model(**inputs).logits[0, place].topk(3).indices))
"""


@dataclass(frozen=True)
class Loading:
    """How a repo is to be loaded: `head` is what follows AutoModelFor; `base` and `revision` are a lora's base."""

    repo: str
    head: str
    is_lora: bool
    is_chat: bool = False
    base: str = ""
    base_revision: str = ""


@dataclass(frozen=True)
class Facts:
    """All that a card tells. `base` is the base model's repo id, empty for one that no Hub knows.

    `licence` has the front matter's keys (license, license_name, license_link); `rows` counts training rows.
    """

    spec: JobSpec
    repo: str
    base: str
    base_revision: str
    licence: Mapping[str, str]
    is_lora: bool
    loading: Loading
    rows: int
    held_out: int
    parameters: Mapping[str, Value] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    answers: Sequence[Answer] = ()
    are_answers_held_out: bool = False
    train_s: float = 0.0
    has_picture: bool = False
    note: str = ""


def card(facts: Facts) -> str:
    """The whole README.md."""
    front = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True, width=1000)
    parts = [intro(facts), usage(facts), metrics(facts), answers(facts), data(facts), parameters(facts), terms(facts)]
    return f"---\n{front}---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def front_matter(facts: Facts) -> dict[str, Any]:
    method = facts.spec.method
    values: dict[str, Any] = dict(facts.licence)
    values["library_name"] = "peft" if facts.is_lora else "transformers"
    values["pipeline_tag"] = TASKS.get(method, TASK)
    if facts.base:
        values["base_model"] = facts.base
        values["base_model_relation"] = "adapter" if facts.is_lora else "finetune"
    trainer = [] if method == "mlm" else ["trl"]
    values["tags"] = ["threadtune", *trainer, method, *(["lora"] if facts.is_lora else []), "safetensors"]
    index = model_index(facts)
    return values | ({"model-index": index} if index else {})


def model_index(facts: Facts) -> list[dict[str, Any]]:
    """Metrics on the rows that were held out, in the form that the Hub's widgets read."""
    tuned = {name: value for name, value in facts.metrics.items() if not name.startswith(("base_", "train_"))}
    if not tuned:
        return []
    task = TASKS.get(facts.spec.method, TASK)
    measured = [{"type": name, "name": words(name), "value": round(value, 6)} for name, value in tuned.items()]
    dataset = {"type": "uploaded", "name": f"rows held out of {facts.spec.train.name}", "split": "held-out"}
    result = {"task": {"type": task}, "dataset": dataset, "metrics": measured}
    return [{"name": facts.repo.split("/")[1], "results": [result]}]


def words(name: str) -> str:
    return name.removeprefix("eval_").replace("_", " ")


def intro(facts: Facts) -> str:
    made = NAMES.get(facts.spec.method, facts.spec.method)
    base = f"[{facts.base}](https://huggingface.co/{facts.base})" if facts.base else "a base model that is on no Hub"
    if facts.base.startswith("embedded/"):
        base = f"`{facts.base}`"
    at = f" at commit `{facts.base_revision[:12]}`" if facts.base_revision else ""
    kind = "a LoRA for" if facts.is_lora else "fine-tuned from"
    note = f"\n\n> {facts.note}" if facts.note else ""
    return f"# {facts.repo.split('/')[1]}\n\nThis model is {kind} {base}{at}, made by {made}.{note}"


def usage(facts: Facts) -> str:
    shown = "" if facts.spec.method in TASKS else f"\n\n{template(facts)}"
    return f"## Use it\n\n```python\n{snippet(facts.loading)}\n```{shown}"


def template(facts: Facts) -> str:
    if facts.loading.is_chat:
        return "It was trained with the chat template that lies in this repo, so ask through it, as above."
    return "It was trained on plain text without a chat template: prompts are continued as they stand."


def metrics(facts: Facts) -> str:
    """The base and the tuned model side by side, and the loss curve."""
    names = [name for name in facts.metrics if not name.startswith("base_")]
    rows = [
        f"| {words(name)} | {number(facts.metrics.get(f'base_{name}'))} | {number(facts.metrics[name])} |"
        for name in names
    ]
    table = "\n".join(["| | base | tuned |", "|---|---|---|", *rows]) if rows else ""
    picture = f"![Loss over the steps of the training]({PICTURE})" if facts.has_picture else ""
    inner = "\n\n".join(part for part in (table, picture) if part)
    return f"## How well it does\n\n{inner}" if inner else ""


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def answers(facts: Facts) -> str:
    if not facts.answers:
        return ""
    seen = (
        "These prompts were held out of the training."
        if facts.are_answers_held_out
        else "These prompts were in the training rows."
    )
    return f"## Before and after\n\n{seen}\n\n" + "\n\n---\n\n".join(answer(one) for one in facts.answers)


def answer(one: Answer) -> str:
    parts = [("Prompt", one.prompt), ("Base model", one.base), ("This model", one.tuned), ("Expected", one.expected)]
    return "\n\n".join(f"**{title}**\n\n{fence(text)}" for title, text in parts if text)


def fence(text: str) -> str:
    """The text as it stands, in a fence that it cannot close, cut where it is very long."""
    shown = text if len(text) <= LONGEST_ANSWER else text[:LONGEST_ANSWER] + " …"
    runs = [len(run) for run in re.findall(r"`+", shown)]
    marks = "`" * max(3, *(run + 1 for run in runs)) if runs else "```"
    return f"{marks}text\n{shown}\n{marks}"


def plain(text: object) -> str:
    """A value for a cell of a table: one line; words stand as code, of the rest nothing is Markdown or HTML."""
    line = " ".join(str(text).split())
    if re.fullmatch(r"[\w.+/%:@-]+", line):
        return f"`{line}`"
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&])", r"\\\1", line)


def data(facts: Facts) -> str:
    source = facts.spec.train
    parts = [f"{facts.rows} rows for training"]
    parts += [
        f"{facts.held_out} held out" if facts.spec.valid is None else f"{facts.held_out} from a second file"
    ] * bool(facts.held_out)
    told = f"The rows are not part of this repo. Their file: sha256 `{source.sha256}`; {', '.join(parts)}."
    columns = ", ".join(f"`{name}`" for name in source.mapping)
    return f"## Data\n\n{told}" + (f" Columns used: {columns}." if columns else "")


def parameters(facts: Facts) -> str:
    rows = "\n".join(f"| {plain(name)} | {plain(value)} |" for name, value in facts.parameters.items())
    took = f"The training took {facts.train_s:.0f} s. " if facts.train_s else ""
    return f"## How it was trained\n\n{took}All parameters:\n\n| parameter | value |\n|---|---|\n{rows}" if rows else ""


def terms(facts: Facts) -> str:
    licence = facts.licence.get("license")
    if licence:
        return f"## Licence\n\nInherited from the base model: {plain(licence)}."
    return "## Licence\n\nThe base model states none, so none is stated here: ask its makers before you pass it on."


def head(method: str) -> str:
    """What follows `AutoModelFor` in the class that loads a result of this method."""
    return HEADS.get(method, "CausalLM")


def snippet(loading: Loading) -> str:
    """The whole program, without an end of line."""
    use = {"SequenceClassification": SCORE, "MaskedLM": FILL}.get(loading.head, CHAT if loading.is_chat else PLAIN)
    return (load_lora(loading) if loading.is_lora else load_whole(loading)) + use.rstrip()


def load_whole(loading: Loading) -> str:
    name = f"AutoModelFor{loading.head}"
    return f"""from transformers import {name}, AutoTokenizer

repo = "{loading.repo}"
model = {name}.from_pretrained(repo)
tokenizer = AutoTokenizer.from_pretrained(repo)
"""


def load_lora(loading: Loading) -> str:
    if loading.head not in LORA_CLASSES:
        return load_lora_on(loading)
    name = LORA_CLASSES[loading.head]
    labels = ", num_labels=1" if loading.head == "SequenceClassification" else ""
    return f"""from peft import {name}
from transformers import AutoTokenizer

repo = "{loading.repo}"
model = {name}.from_pretrained(repo{labels})
tokenizer = AutoTokenizer.from_pretrained(repo)
"""


def load_lora_on(loading: Loading) -> str:
    """For heads that peft has no class of its own for: the base first, the lora on it."""
    name = f"AutoModelFor{loading.head}"
    pinned = f', revision="{loading.base_revision}"' if loading.base_revision else ""
    return f"""from peft import PeftModel
from transformers import {name}, AutoTokenizer

repo = "{loading.repo}"
base = {name}.from_pretrained("{loading.base}"{pinned})
model = PeftModel.from_pretrained(base, repo)
tokenizer = AutoTokenizer.from_pretrained(repo)
"""


def with_endpoint(text: str, address: str, is_public_hub: bool) -> str:
    """The snippet for a Hub that is not the public one: the client has to be told where it is, before its import."""
    return text if is_public_hub else f'import os\n\nos.environ["HF_ENDPOINT"] = "{address}"\n\n{text}'
