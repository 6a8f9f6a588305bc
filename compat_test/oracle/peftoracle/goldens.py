"""goldens: one directory with tiny models, adapters of every method for every task, and the numbers Python gets from them.

    DIR/versions.json
    DIR/README.md                    the model card that PEFT put into every adapter directory, moved here: all are the same
    DIR/README-lora.md               but for LoRA's
    DIR/CASE/base/                   the base model; CASE is the task, SEQ_CLS also as regression and multi-label; null is none
    DIR/CASE/input.jsonl             sequences with labels
    DIR/CASE/forward.jsonl           the base model's outputs
    DIR/CASE/batches.jsonl           the data of the AdamW steps
    DIR/CASE/METHOD/adapter/         an adapter as PEFT saved it
    DIR/CASE/METHOD/state.safetensors    its parameters at training time
    DIR/CASE/METHOD/input.jsonl      as above, with labels of the length that PEFT wants under this method, and with task ids, where it differs
    DIR/CASE/METHOD/batches.jsonl    as above, with task ids
    DIR/CASE/METHOD/forward.jsonl    the outputs with the adapter
    DIR/CASE/METHOD/steps.safetensors    ten AdamW steps: weight decay 0.01, linear schedule with two steps of warm-up, clip 1

    DIR/decoder-NAME/                base, input.jsonl and forward.jsonl, for CAUSAL_LM, of a decoder of each model_type, and
                                     what generate answers to prompts.jsonl: generated.jsonl

MASKED_LM has no adapters. null has no batches and no steps: there the prompt is not used, so nothing trains it.
"""

import json
import random
from pathlib import Path

from . import adapters, models

VOCABULARY, VIRTUAL_TOKENS, HIDDEN = 40, 3, 12  # no multiples of a vector register
SIZES = f"--layers 2 --hidden {HIDDEN} --heads 2 --intermediate 20 --vocab {VOCABULARY} --max-positions 32".split()
CASES = {  # name: task, further arguments of make-base
    "SEQ_CLS": ("SEQ_CLS", []),
    "SEQ_CLS-multi-label": ("SEQ_CLS", ["--set", '{"problem_type": "multi_label_classification"}']),
    "SEQ_CLS-regression": ("SEQ_CLS", ["--num-labels", "1"]),
    "TOKEN_CLS": ("TOKEN_CLS", []),
    "QUESTION_ANS": ("QUESTION_ANS", ["--num-labels", "2"]),
    "FEATURE_EXTRACTION": ("FEATURE_EXTRACTION", []),
    "MASKED_LM": ("MASKED_LM", []),
    "null": ("SEQ_CLS", []),
}
DECODERS = {  # model_type: further fields of config.json
    "gemma": {"num_key_value_heads": 1, "head_dim": 8},
    "gemma2": {"num_key_value_heads": 1, "head_dim": 8, "sliding_window": 3, "query_pre_attn_scalar": 10},
    "gemma3_text": {"num_key_value_heads": 1, "head_dim": 8, "sliding_window": 3, "sliding_window_pattern": 2, "query_pre_attn_scalar": 10},
    "llama": {"num_key_value_heads": 1},
    "mistral": {"num_key_value_heads": 1, "sliding_window": 3},
    "olmo2": {"num_key_value_heads": 1},
    "phi3": {"num_key_value_heads": 1, "partial_rotary_factor": 0.7, "max_position_embeddings": 32, "original_max_position_embeddings": 8,
             "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [2.0, 4.0]}, "pad_token_id": 0, "eos_token_id": 1},
    "qwen2": {"num_key_value_heads": 1, "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1},
    "qwen3": {"num_key_value_heads": 1, "head_dim": 8},
    "smollm3": {"num_key_value_heads": 1, "no_rope_layer_interval": 2, "use_sliding_window": True, "sliding_window": 3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    "gpt2": {"scale_attn_by_inverse_layer_idx": True},
    "bloom": {"hidden_dropout": 0.1},
    "gpt_neox": {"hidden_dropout": 0.1, "rotary_pct": 0.67},
    # The conformance suite takes finite differences: no ReLU.
    "opt": {"ffn_dim": 20, "word_embed_proj_dim": 10, "attention_dropout": 0.1, "activation_function": "gelu"},
}
STEPS = "--steps 10 --lr 0.02 --weight-decay 0.01 --schedule linear --warmup-steps 2 --clip 1 --keep end".split()
FIELDS = {"ptuning-mlp": {"encoder_hidden_size": 10}, "ptuning-lstm": {"encoder_hidden_size": 4}, "prefix-projection": {"encoder_hidden_size": 10},
          # A pattern, since PEFT writes a list of names in a random order; it names the pooler too, where there is one.
          "lora": {"r": 4, "lora_alpha": 1.5, "use_rslora": True, "target_modules": r".*\.(query|value|intermediate\.dense|output\.dense|pooler\.dense)",
                   "rank_pattern": {"intermediate.dense": 2}, "alpha_pattern": {r"layer\.1\.attention\.self\.query": 2}}}


def goldens(args):
    out = Path(args.dir)
    out.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(CASES):
        make_case(args.call, out / case, case, seed=args.seed + number)
    for number, name in enumerate(DECODERS):
        make_decoder(args.call, out / f"decoder-{name}", name, seed=args.seed + 100 + number)
    (out / "versions.json").write_text(json.dumps(models.versions(), indent=2) + "\n")


def make_case(call, folder, case, seed):
    task, extra = CASES[case]
    base = folder / "base"
    call("make-base", str(base), "--task", task, "--seed", str(seed), *SIZES, *extra)
    make_inputs(folder, case, random.Random(seed))
    model = ["--base", str(base), "--task", task]
    call("forward", *model, "--input", str(folder / "input.jsonl"), "--output", str(folder / "forward.jsonl"))
    if case == "null":
        model = ["--base", str(base), "--task", "null", "--architecture", "BertForSequenceClassification"]
    for method in methods_of(case):
        make_method(call, folder, folder / method, method, task, model)
        move_card(folder / method / "adapter" / "README.md", folder.parent / ("README-lora.md" if method == "lora" else "README.md"))


# Ways to choose tokens without chance, by end tokens that come soon.
GENERATION = [
    {"max_new_tokens": 9, "eos_token_id": 39},
    {"max_new_tokens": 12, "eos_token_id": [3, 8, 11, 17, 20]},
    {"max_new_tokens": 6, "eos_token_id": [3, 8, 11, 17, 20, 21, 22], "min_new_tokens": 5},
    {"max_new_tokens": 14, "eos_token_id": 39, "repetition_penalty": 1.4, "no_repeat_ngram_size": 2},
    {"max_new_tokens": 8, "eos_token_id": 39, "num_beams": 3, "num_return_sequences": 2},
    {"max_new_tokens": 8, "eos_token_id": [3, 8, 11], "num_beams": 4, "num_return_sequences": 4, "length_penalty": 0.3},
    {"max_new_tokens": 8, "eos_token_id": [3, 8, 11, 17], "num_beams": 3, "num_return_sequences": 3, "early_stopping": True},
    {"max_new_tokens": 10, "eos_token_id": [3, 8, 11, 17], "num_beams": 2, "early_stopping": "never", "length_penalty": 2.0},
    {"max_new_tokens": 8, "eos_token_id": [3, 8], "num_beams": 3, "length_penalty": -1.0, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    {"max_new_tokens": 9, "eos_token_id": [3, 8, 11, 17, 20, 21, 22, 25, 30, 31, 35], "min_length": 9},
    {"max_new_tokens": 9, "eos_token_id": [3, 8, 11, 17, 20, 21, 22, 25, 30, 31, 35], "min_length": 9, "min_new_tokens": 1},
    {"max_new_tokens": 9, "eos_token_id": [3, 8, 11, 17, 20, 21, 22, 25, 30, 31, 35], "min_length": 9, "min_new_tokens": 0, "num_beams": 3, "num_return_sequences": 2},
]


def make_decoder(call, folder, name, seed):
    """A decoder alone; its adapters are compared live."""
    base, model = str(folder / "base"), ["--task", "CAUSAL_LM"]
    call("make-base", base, *model, "--arch", name, "--seed", str(seed), *SIZES, "--set", json.dumps(DECODERS[name]))
    rng = random.Random(seed)
    lines = [[rng.randrange(VOCABULARY) for _ in range(length)] for length in (7, 2, 12)]
    models.write_jsonl(folder / "input.jsonl", [{"input_ids": ids, "labels": ids} for ids in lines])
    call("forward", "--base", base, *model, "--input", str(folder / "input.jsonl"), "--output", str(folder / "forward.jsonl"))
    prompts = [{"input_ids": rng.choices(range(VOCABULARY), k=2 + number % 5), **settings} for number, settings in enumerate(GENERATION)]
    models.write_jsonl(folder / "prompts.jsonl", prompts)
    call("generate", "--base", base, *model, "--input", str(folder / "prompts.jsonl"), "--output", str(folder / "generated.jsonl"))


def methods_of(case):
    """MASKED_LM has no adapters."""
    task = CASES[case][0] if case != "null" else "null"
    return [method for method in adapters.METHODS if task != "MASKED_LM" and adapters.runs(method, task)]


def move_card(own, common):
    if common.exists() and common.read_bytes() != own.read_bytes():
        raise AssertionError(f"{own} is not the model card of the other adapters")
    own.replace(common)


def make_inputs(folder, case, rng):
    lengths = [7, 1, 12, 3] if case != "MASKED_LM" else [7, 1]
    models.write_jsonl(folder / "input.jsonl", [example(case, length, rng) for length in lengths])
    if case not in ("MASKED_LM", "null"):
        batches = [{"batch": [example(case, rng.randint(2, 9), rng) for _ in range(3)]} for _ in range(10)]
        models.write_jsonl(folder / "batches.jsonl", batches)


def example(case, length, rng):
    row = {"input_ids": [rng.randrange(VOCABULARY) for _ in range(length)], "token_type_ids": [rng.randrange(2) for _ in range(length)]}
    return row | targets(case, length, rng)


def targets(case, length, rng):
    if case == "QUESTION_ANS":
        start = rng.randrange(length)
        return {"start_positions": start, "end_positions": rng.randrange(start, length)}
    makers = {
        "SEQ_CLS": lambda: rng.randrange(3),
        "null": lambda: rng.randrange(3),
        "SEQ_CLS-multi-label": lambda: [float(rng.randrange(2)) for _ in range(3)],
        "SEQ_CLS-regression": lambda: round(rng.uniform(-1, 1), 3),
        "TOKEN_CLS": lambda: [rng.randrange(3)] + [rng.choice([-100, 0, 1, 2]) for _ in range(length - 1)],
        "FEATURE_EXTRACTION": lambda: [round(rng.uniform(-1, 1), 3) for _ in range(HIDDEN)],
        "MASKED_LM": lambda: [rng.randrange(VOCABULARY) for _ in range(length)],
    }
    return {"labels": makers[case]()}


def make_method(call, folder, out, method, task, model):
    adapter, state = str(out / "adapter"), str(out / "state.safetensors")
    extra = ["--config", json.dumps(FIELDS.get(method, {})), "--base-name", "tiny-bert", "--n", str(VIRTUAL_TOKENS)]
    trains = "null" not in model
    call("make-adapter", *model, "--method", method, "--out", adapter, *(["--state", state] if trains else []), *extra)
    inputs = fitting_inputs(folder / "input.jsonl", out / "input.jsonl", method, task)
    call("forward", *model, "--adapter", adapter, "--input", str(inputs), "--output", str(out / "forward.jsonl"))
    if not trains:
        return
    source = ["--adapter-config", adapter + "/adapter_config.json", "--start", state, "--data", str(fitting_batches(folder / "batches.jsonl", out / "batches.jsonl", method))]
    call("steps", *model, *source, "--out", str(out / "steps.safetensors"), *STEPS)


def fitting_inputs(common, own, method, task):
    """The file with the inputs of a method: its own only where it differs from the task's."""
    rows = models.read_jsonl(common)
    fitted = [fitting(row, method, task) for row in rows]
    if fitted == rows:
        return common
    models.write_jsonl(own, fitted)
    return own


def fitting_batches(common, own, method):
    """The file with the batches of a method: its own only where sequences have tasks."""
    if method != "multitask":
        return common
    models.write_jsonl(own, [{"batch": [with_task(row) for row in line["batch"]]} for line in models.read_jsonl(common)])
    return own


def with_task(row):
    return row | {"task_ids": len(row["input_ids"]) % 2}


def fitting(row, method, task):
    """PEFT wants token labels for the virtual tokens too, and a task where there are several."""
    if method == "multitask":
        row = with_task(row)
    if task == "TOKEN_CLS" and method in ("prompt", "ptuning-mlp", "ptuning-lstm", "multitask"):
        return row | {"labels": [-100] * VIRTUAL_TOKENS + row["labels"]}
    return row
