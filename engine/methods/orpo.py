"""Odds ratio preference optimization: the model learns the chosen answers and to find the others less likely."""

from typing import Any

from engine.work.training.task import Task, Work


def prepare(task: Task) -> Work:
    """TRL's trainer with its tokenising and its full logits replaced.

    It cuts both answers to too little where only one is long, and holds the logits of every position.
    """
    from transformers import set_seed
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer
    from trl.trainer.utils import add_fused_lm_head

    from engine.data import encoding
    from engine.work.training import losses, rows, samples, weights
    from engine.work.training.loop import arguments

    class PairTrainer(ORPOTrainer):  # type: ignore[misc]  # TRL has no types
        """Takes pairs that are already tokens; its loss is computed from log-probabilities alone."""

        def tokenize_row(self, feature: Any, model: Any = None) -> Any:
            return feature

        def get_batch_loss_metrics(self, model: Any, batch: Any, train_eval: str = "train") -> Any:
            inputs = self.concatenated_inputs(batch, padding_value=self.padding_value, device=self.accelerator.device)
            count = len(batch["chosen_labels"])
            nll, means = losses.orpo_parts(model, inputs, count)
            ratio_loss, *_ = self.odds_ratio_loss(means[:count], means[count:])
            return nll - ratio_loss.mean(), {"nll_loss": nll.item()}

    set_seed(task.whole("seed"))
    train, valid = rows.read_rows(task.folder.rows("train")), rows.read_held_out(task)
    tokenizer = weights.load_tokenizer(task, train)
    pairs = rows.encode_all(task, train, lambda row: encoding.pair_row(tokenizer, row, task.whole("max_length")))
    held_out = rows.encode_held_out(valid, lambda row: encoding.pair_row(tokenizer, row, task.whole("max_length")))
    dataset = rows.to_dataset([encoding.whole_pair(pair) for pair in pairs], encoding.WHOLE_PAIR)
    trainer = PairTrainer(
        model=weights.load_model(task, "CausalLM"),
        args=ORPOConfig(
            **arguments(task, len(pairs)),
            beta=task.number("beta"),
            max_length=task.whole("max_length"),
            remove_unused_columns=False,
        ),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=weights.lora_config(task, "CAUSAL_LM"),
    )
    add_fused_lm_head(trainer.model.get_base_model() if losses.is_lora(trainer.model) else trainer.model)
    losses.score_counted_positions(trainer.model)
    chosen, are_held_out = samples.choose(valid, train)
    questions = tuple(samples.pair_question(tokenizer, row) for row in chosen)
    return Work(
        trainer=trainer,
        tokenizer=tokenizer,
        measure=lambda model: losses.orpo_metrics(losses.pair_scores(model, held_out)),
        questions=questions,
        are_held_out=are_held_out,
        answer=lambda model: samples.generate(model, tokenizer, questions),
        load_back=lambda: weights.load_result(task, "CausalLM"),
    )
