"""Language modeling: the model learns to write on as the texts do, every token of them, eos included."""

from engine.work.training.task import Task, Work


def prepare(task: Task) -> Work:
    """Each text is learned wholly; one that is longer than `max_length` becomes several rows, none is cut off."""
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    from engine.data import encoding
    from engine.work.training import losses, rows, samples, weights
    from engine.work.training.loop import arguments

    set_seed(task.whole("seed"))
    train, valid = rows.read_rows(task.folder.rows("train")), rows.read_held_out(task)
    tokenizer = weights.load_tokenizer(task, train)
    max_length = task.whole("max_length")
    encoded = [piece for row in train for piece in encoding.whole_rows(tokenizer, row, max_length)]
    held_out = [piece for row in valid for piece in encoding.whole_rows(tokenizer, row, max_length)]
    rows.leave_out(task, {piece["row"] for piece in encoded})
    rows.check_any(encoded)
    names = ("input_ids", "labels")
    is_packed = task.is_on("packing")
    dataset = rows.to_packed(encoded, names, max_length) if is_packed else rows.to_dataset(encoded, names)
    trainer = SFTTrainer(
        model=weights.load_model(task, "CausalLM"),
        args=SFTConfig(
            **arguments(task, len(dataset)),
            max_length=max_length if is_packed else None,
            packing=is_packed,
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        ),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=weights.lora_config(task, "CAUSAL_LM"),
    )
    losses.score_counted_positions(trainer.model)
    chosen, are_held_out = samples.choose(valid, train)
    questions = tuple(samples.text_question(tokenizer, row) for row in chosen)
    return Work(
        trainer=trainer,
        tokenizer=tokenizer,
        measure=lambda model: losses.language_metrics(model, held_out),
        questions=questions,
        are_held_out=are_held_out,
        answer=lambda model: samples.generate(model, tokenizer, questions),
        load_back=lambda: weights.load_result(task, "CausalLM"),
    )
