"""A reward model: a head of one number is put on the base, and learns to give the chosen text the higher one."""

from typing import Any

from engine.work.training.task import Task, Work


def prepare(task: Task) -> Work:
    """The head is new, so it is trained whole beside the lora; before the training its scores are chance."""
    from transformers import set_seed
    from trl import RewardConfig, RewardTrainer

    from engine.data import encoding
    from engine.work.training import losses, rows, samples, weights
    from engine.work.training.loop import arguments

    set_seed(task.whole("seed"))
    train, valid = rows.read_rows(task.folder.rows("train")), rows.read_held_out(task)
    tokenizer = weights.load_tokenizer(task, train)
    pairs = rows.encode_all(task, train, lambda row: encoding.reward_row(tokenizer, row, task.whole("max_length")))
    held_out = rows.encode_held_out(valid, lambda row: encoding.reward_row(tokenizer, row, task.whole("max_length")))
    model = weights.load_model(task, "SequenceClassification")
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(**arguments(task, len(pairs)), max_length=None, remove_unused_columns=False),
        train_dataset=rows.to_dataset(pairs, ("chosen_ids", "rejected_ids")),
        processing_class=tokenizer,
        peft_config=weights.lora_config(task, "SEQ_CLS", keep=weights.head_names(model)),
    )

    def load_back() -> Any:
        loaded = weights.load_result(task, "SequenceClassification")
        loaded.config.pad_token_id = tokenizer.pad_token_id
        return loaded

    chosen, are_held_out = samples.choose(valid, train)
    asked = [pair for pair in (encoding.reward_row(tokenizer, row, task.whole("max_length")) for row in chosen) if pair]
    questions = tuple(samples.reward_question(tokenizer, pair) for pair in asked)
    return Work(
        trainer=trainer,
        tokenizer=tokenizer,
        measure=lambda tuned: losses.reward_metrics(losses.rewards(tuned, held_out, tokenizer.pad_token_id)),
        questions=questions,
        are_held_out=are_held_out,
        answer=lambda tuned: samples.rewards_in_words(losses.rewards(tuned, asked, tokenizer.pad_token_id)),
        load_back=load_back,
    )
