"""AutoTrain's parameters that are none here: what decides in their place. Its others are aliases in the one table."""

from collections.abc import Mapping

DECIDED: Mapping[str, str] = {
    "add_eos_token": "every text and answer ends with eos, and that is learned",
    "auto_find_batch_size": "the batch goes by the memory, and is halved once by itself if it does not fit",
    "distributed_backend": "several devices of one machine train by DDP, see `gpus`",
    "eval_strategy": "held-out rows are measured before, at each checkpoint and at the end",
    "evaluation_strategy": "held-out rows are measured before, at each checkpoint and at the end",
    "log": "every step is reported in the thread, and nowhere else",
    "max_completion_length": "an answer may take what its prompt leaves of max_length",
    "max_prompt_length": "a prompt may take half of max_length, or what its answers leave of it",
    "mixed_precision": "bfloat16 where the GPU computes it, else float32",
    "model_ref": "the reference is the base model itself",
    "padding": "on the right in training, on the left when a model answers",
    "save_total_limit": "two checkpoints are kept, so that a damaged one has one before it",
    "trainer": "the method says it: sft, dpo and so on",
    "unsloth": "TRL trains",
    "use_flash_attention_2": "torch's own fused attention; flash-attn where it is installed and rows are packed",
}
"""Name → what happens here, as half a sentence."""
ELSEWHERE: Mapping[str, str] = {
    "model": "`model=org/name`",
    "project_name": "`repo=name`",
    "data_path": "the file in the thread, or `file=name.csv`",
    "train_split": "the file; in a config the name of a file in the folder",
    "text_column": "`text=column`",
    "prompt_text_column": "`prompt=column`",
    "rejected_text_column": "`rejected_text=column`",
    "push_to_hub": "`push=on`, `push=off` or `push=pr`",
    "username": "`HF_NAMESPACE` on the server",
    "token": "`HF_TOKEN` on the server, never in a chat",
}
"""Name → where that is said here."""
TURNED = {"disable_gradient_checkpointing": "gradient_checkpointing"}
"""Switches that say the opposite of the parameter here."""
