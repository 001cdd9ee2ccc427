"""Masked language modeling: an encoder learns to fill in words that were hidden from it."""

from engine.work.training.task import Failure, Task, Work


def prepare(task: Task) -> Work:
    """Longer texts become several rows. A base without a masked-LM head gets a new one, which is trained whole."""
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments, set_seed

    from engine.data import encoding
    from engine.work.speed import packed
    from engine.work.training import losses, rows, samples, weights
    from engine.work.training.loop import arguments

    set_seed(task.whole("seed"))
    train, valid = rows.read_rows(task.folder.rows("train")), rows.read_held_out(task)
    tokenizer = weights.load_tokenizer(task, train)
    if tokenizer.mask_token is None:
        model_id = task.spec.model.id
        raise Failure("model", f"{model_id} has no mask token: mlm needs an encoder such as BERT, or use clm with it.")
    max_length = task.whole("max_length")
    encoded = [piece for row in train for piece in encoding.masked_rows(tokenizer, row, max_length)]
    held_out = [piece for row in valid for piece in encoding.masked_rows(tokenizer, row, max_length)]
    rows.leave_out(task, {piece["row"] for piece in encoded})
    rows.check_any(encoded)
    model = weights.load_model(task, "MaskedLM")
    task = packed.unless_apart(task, model, encoded)
    is_packed = task.is_on("packing")
    dataset = (
        rows.to_packed(encoded, ("input_ids",), max_length) if is_packed else rows.to_dataset(encoded, ("input_ids",))
    )
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=task.number("mlm_probability"))
    lora = weights.lora_config(task, "FEATURE_EXTRACTION", keep=weights.head_names(model))
    trainer = Trainer(
        model=weights.with_lora(model, lora),
        args=TrainingArguments(**arguments(task, len(dataset)), remove_unused_columns=False),
        data_collator=packed.PackedMasks(collate, packed.first_place(model)) if is_packed else collate,
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    chosen, are_held_out = samples.choose(valid, train)
    questions = tuple(samples.masked_question(tokenizer, row) for row in chosen)
    return Work(
        trainer=trainer,
        tokenizer=tokenizer,
        measure=lambda tuned: losses.masked_metrics(tuned, tokenizer, held_out, task.number("mlm_probability")),
        questions=questions,
        are_held_out=are_held_out,
        answer=lambda tuned: samples.fill_masks(tuned, tokenizer, questions),
        load_back=lambda: weights.load_result(task, "MaskedLM"),
    )
