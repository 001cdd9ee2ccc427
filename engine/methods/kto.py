"""Kahneman-Tversky optimization: the model learns from single answers, each of them marked good or bad."""

from typing import Any

from engine.work.training.task import Task, Work


def prepare(task: Task) -> Work:
    """As in dpo the reference is the base itself; each prompt is also put before its neighbour's answer, which tells
    how far the model has drifted: https://arxiv.org/abs/2402.01306, section 4.2.
    """
    from transformers import set_seed
    from trl import KTOConfig, KTOTrainer

    from engine.data import encoding
    from engine.work.training import judged, loop, losses, rows, samples, weights

    class JudgedTrainer(KTOTrainer):  # type: ignore[misc]  # TRL has no types
        """Takes answers that are already tokens, beside their neighbours', with what the reference says of both."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        _precompute_ref_logps = _prepare_dataset

    set_seed(task.whole("seed"))
    train, valid = rows.read_rows(task.folder.rows("train")), rows.read_held_out(task)
    tokenizer = weights.load_tokenizer(task, train)
    used = rows.encode_all(task, train, lambda row: encoding.judged_row(tokenizer, row, task.whole("max_length")))
    used = judged.beside_neighbours(judged.mixed(used, task.whole("seed")), task.whole("batch_size"))
    held_out = rows.encode_held_out(valid, lambda row: encoding.judged_row(tokenizer, row, task.whole("max_length")))
    held_out = judged.beside_neighbours(held_out, len(held_out))
    model = weights.to_device(weights.load_model(task, "CausalLM"))
    reference = judged.scores(model, held_out)
    is_known = loop.pays_to_know_reference(task, len(used))
    names: tuple[str, ...] = ("prompt_ids", "completion_ids", "KL_completion_ids", "label")
    if is_known:
        used = judged.with_reference(model, used)
        names = (*names, "ref_logps", "ref_KL_logps")
    trainer = JudgedTrainer(
        model=model,
        args=KTOConfig(
            **loop.arguments(task, len(used)),
            beta=task.number("beta"),
            max_length=None,
            precompute_ref_log_probs=is_known,
            remove_unused_columns=False,
            **judged.balance(used),
        ),
        train_dataset=rows.to_dataset(used, names),
        processing_class=tokenizer,
        peft_config=weights.lora_config(task, "CAUSAL_LM"),
    )
    losses.score_counted_positions(trainer.model)
    chosen, are_held_out = samples.choose(judged.good(valid), judged.good(train))
    questions = tuple(samples.pair_question(tokenizer, {**row, "chosen": row["completion"]}) for row in chosen)
    return Work(
        trainer=trainer,
        tokenizer=tokenizer,
        measure=lambda tuned: judged.metrics(held_out, judged.scores(tuned, held_out), reference, task.number("beta")),
        questions=questions,
        are_held_out=are_held_out,
        answer=lambda tuned: samples.generate(tuned, tokenizer, questions),
        load_back=lambda: weights.load_result(task, "CausalLM"),
    )
