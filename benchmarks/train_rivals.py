"""What the training benchmarks run beside ours, in a process of its own: `python -m benchmarks.train_rivals MODE …`.

    raw MODEL ROWS OUT JOB     transformers' Trainer, padded batches of like lengths, as its documentation shows
    dpo|orpo MODEL ROWS OUT JOB  TRL's trainer with TRL's defaults
    loss MODEL ROWS            the held-out loss of a model, the same code for everybody

JOB is a JSON object of TrainingArguments that every one of them gets. Prints one JSON object on its last line.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

COMMON = {"report_to": "none", "disable_tqdm": True, "logging_steps": 1, "save_strategy": "no", "use_cpu": True}


class Clock:
    """When the first step ended, and each step's loss."""

    def __init__(self) -> None:
        from transformers import TrainerCallback

        self.first_at = 0.0
        self.trained_s = 0.0
        clock = self

        class Watch(TrainerCallback):  # type: ignore[misc]  # transformers has no types
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                clock.began = time.time()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                clock.first_at = clock.first_at or time.time()

            def on_train_end(self, *_: Any, **__: Any) -> None:
                clock.trained_s = time.time() - clock.began

        self.callback = Watch()
        self.began = 0.0


def told(trainer: Any, clock: Clock) -> None:
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    found = {"first_at": clock.first_at, "train_s": clock.trained_s, "losses": losses}
    sys.stdout.write(json.dumps(found) + "\n")


def raw(model: str, rows: str, out: str, job: dict[str, Any]) -> None:
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForLanguageModeling, Trainer
    from transformers import TrainingArguments as Arguments

    tokenizer = AutoTokenizer.from_pretrained(model)

    def encode(batch: Any) -> Any:
        ids = [[*row, tokenizer.eos_token_id][:512] for row in tokenizer(batch["text"])["input_ids"]]
        return {"input_ids": ids, "length": [len(row) for row in ids]}

    dataset = load_dataset("json", data_files=rows, split="train").map(encode, batched=True, remove_columns=["text"])
    clock = Clock()
    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=Arguments(output_dir=out, **COMMON, **job, train_sampling_strategy="group_by_length"),
        train_dataset=dataset,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        callbacks=[clock.callback],
    )
    trainer.train()
    trainer.save_model(out)
    told(trainer, clock)


def preferences(method: str, model: str, rows: str, out: str, job: dict[str, Any]) -> None:
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    module = import_module("trl" if method == "dpo" else "trl.experimental.orpo")
    trainer_type, config_type = (getattr(module, f"{method.upper()}{name}") for name in ("Trainer", "Config"))
    clock = Clock()
    trainer = trainer_type(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=config_type(output_dir=out, bf16=False, **COMMON, **job),
        train_dataset=load_dataset("json", data_files=rows, split="train"),
        processing_class=AutoTokenizer.from_pretrained(model),
        callbacks=[clock.callback],
    )
    trainer.train()
    trainer.save_model(out)
    told(trainer, clock)


def loss(model: str, rows: str) -> None:
    """Nats per token over all rows, eos included."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from engine.data.encoding import text_row
    from engine.work.training.losses import language_metrics

    tokenizer = AutoTokenizer.from_pretrained(model)
    texts = [json.loads(line) for line in Path(rows).read_text().splitlines()]
    encoded = [text_row(tokenizer, {**row, "row": number}, 512) for number, row in enumerate(texts)]
    found = language_metrics(AutoModelForCausalLM.from_pretrained(model), [row for row in encoded if row])
    sys.stdout.write(json.dumps(found) + "\n")


def main(mode: str, model: str, rows: str, out: str = "", job: str = "{}") -> None:
    match mode:
        case "raw":
            raw(model, rows, out, json.loads(job))
        case "loss":
            loss(model, rows)
        case _:
            preferences(mode, model, rows, out, json.loads(job))


if __name__ == "__main__":
    main(*sys.argv[1:])
