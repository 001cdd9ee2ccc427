"""Direct preference optimization: the model learns to prefer the chosen answer, held to the base model by `beta`."""

from typing import Any

from engine.work.training.task import Task, Work


def prepare(task: Task) -> Work:
    """The reference is the base itself, so no second model is held; its log-probabilities are computed once where
    most rows will be seen, otherwise batch by batch with the lora off.
    """
    from transformers import set_seed
    from trl import DPOConfig, DPOTrainer

    from engine.data import encoding
    from engine.work.training import losses, rows, samples, weights
    from engine.work.training.loop import arguments, pays_to_know_reference

    class PairTrainer(DPOTrainer):  # type: ignore[misc]  # TRL has no types
        """Takes pairs that are already tokens, and reference log-probabilities that are already there."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
            return dataset

    set_seed(task.whole("seed"))
    train, valid = rows.read_rows(task.folder.rows("train")), rows.read_held_out(task)
    tokenizer = weights.load_tokenizer(task, train)
    pairs = rows.encode_all(task, train, lambda row: encoding.pair_row(tokenizer, row, task.whole("max_length")))
    held_out = rows.encode_held_out(valid, lambda row: encoding.pair_row(tokenizer, row, task.whole("max_length")))
    model = weights.to_device(weights.load_model(task, "CausalLM"))
    reference = losses.pair_scores(model, held_out)
    is_known = pays_to_know_reference(task, len(pairs))
    names: tuple[str, ...] = ("prompt_ids", "chosen_ids", "rejected_ids")
    if is_known:
        for pair, (chosen_score, rejected_score) in zip(pairs, losses.pair_scores(model, pairs), strict=True):
            pair["ref_chosen_logps"], pair["ref_rejected_logps"] = chosen_score[0], rejected_score[0]
        names = (*names, "ref_chosen_logps", "ref_rejected_logps")
    trainer = PairTrainer(
        model=model,
        args=DPOConfig(
            **arguments(task, len(pairs)),
            beta=task.number("beta"),
            max_length=None,
            precompute_ref_log_probs=is_known,
            remove_unused_columns=False,
        ),
        train_dataset=rows.to_dataset(pairs, names),
        processing_class=tokenizer,
        peft_config=weights.lora_config(task, "CAUSAL_LM"),
    )
    losses.score_counted_positions(trainer.model)
    chosen, are_held_out = samples.choose(valid, train)
    questions = tuple(samples.pair_question(tokenizer, row) for row in chosen)
    return Work(
        trainer=trainer,
        tokenizer=tokenizer,
        measure=lambda tuned: losses.dpo_metrics(losses.pair_scores(tuned, held_out), reference, task.number("beta")),
        questions=questions,
        are_held_out=are_held_out,
        answer=lambda tuned: samples.generate(tuned, tokenizer, questions),
        load_back=lambda: weights.load_result(task, "CausalLM"),
    )
