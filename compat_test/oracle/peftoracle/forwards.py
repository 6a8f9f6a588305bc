"""forward: what transformers' or PEFT's model returns in evaluation for one unpadded sequence after the other.

Input, one sequence a line: {"input_ids": [...]}, or {"text": ...} with optional pair, which the base's tokenizer encodes; with optional
token_type_ids, position_ids, decoder_input_ids, task_ids (an integer, for adapters of several tasks; default 0), labels (SEQ_CLS: an integer, a number, or a list of numbers; TOKEN_CLS, MASKED_LM: one integer per row of
the logits; SEQ_2_SEQ_LM: one integer per token of the target, from which the decoder's ids are made where they are not given), start_positions and end_positions.
Output, one line per sequence: transformers' names (logits, start_logits, end_logits, last_hidden_state, pooler_output, loss) and
its shapes WITHOUT the batch dimension: SEQ_CLS logits are [labels], TOKEN_CLS logits [rows, labels]. The rows are PEFT's: with
prompt tuning and P-tuning the virtual tokens' rows come first. Numbers are exact: the float32 value printed as a float64.
"""

import torch
import transformers

from . import models


def forward(args):
    model = load(args)
    examples = models.read_jsonl(args.input)
    if any("text" in example for example in examples):
        tokenizer = transformers.AutoTokenizer.from_pretrained(args.base)
        examples = [encoded(tokenizer, example) for example in examples]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.autocast):
        rows = [answer(model, args.task, example, args.keep_errors) for example in examples]
    models.write_jsonl(args.output, rows)


def encoded(tokenizer, example):
    """The example with its text as token ids."""
    if "text" not in example:
        return example
    rest = {key: value for key, value in example.items() if key not in ("text", "pair")}
    return rest | dict(tokenizer(example["text"], example.get("pair")))


def load(args):
    options = dict(architecture=args.architecture, problem_type=args.problem_type, dtype=args.dtype)
    if args.adapter:
        return models.load_adapter(args.base, args.adapter, args.task, args.allow_warnings, args.num_labels, **options)
    return models.load_base(args.base, args.task, num_labels=args.num_labels, **options)


def answer(model, task, example, keep_errors):
    try:
        return values(run(model, task, example))
    except (ValueError, RuntimeError, TypeError) as error:
        if not keep_errors:
            raise
        return {"error": f"{type(error).__name__}: {error}"}


@torch.no_grad()
def run(model, task, example):
    return model(**tensors(task, example, model))


def tensors(task, example, model):
    """The keyword arguments of a batch of one."""
    length = len(example["input_ids"])
    inputs = {"attention_mask": torch.ones(1, length, dtype=torch.long)}
    for name in ("input_ids", "token_type_ids", "position_ids", "decoder_input_ids", "start_positions", "end_positions"):
        if name in example:
            inputs[name] = torch.tensor([example[name]], dtype=torch.long)
    if is_multitask(model):
        inputs["task_ids"] = torch.tensor([example.get("task_ids", 0)])
    if "labels" in example and task != "FEATURE_EXTRACTION":
        inputs["labels"] = torch.tensor([example["labels"]], dtype=label_type(task, example["labels"], model))
    return inputs


def is_multitask(model):
    config = getattr(model, "peft_config", {}).get("default")
    return config is not None and config.peft_type == "MULTITASK_PROMPT_TUNING"


def label_type(task, labels, model):
    """Class numbers are integers; regression and multi-label targets have the type of the model."""
    numbers = model.config.problem_type in ("regression", "multi_label_classification") or not isinstance(labels, int)
    if task == "SEQ_CLS" and numbers:
        return model.dtype
    return torch.long


def values(output):
    """The tensors of a model output as nested lists, without their batch dimension. Caches and what an encoder hands its decoder are left out."""
    return {
        name: (value if value.dim() == 0 else value[0]).double().tolist()
        for name, value in output.items()
        if isinstance(value, torch.Tensor) and name != "encoder_last_hidden_state"
    }
