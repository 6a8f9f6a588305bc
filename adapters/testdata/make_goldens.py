"""Makes the golden files of this folder with Python PEFT. Run it from the folder it is in:

    python make_goldens.py

It writes base/ (a tiny BERT with every head), one directory per adapter, and expected.safetensors.
Versions: see README.md. The seeds make the values; another version of torch may draw others, and
then all files change together.
"""
import json
import os
import shutil
import warnings

import torch
import transformers
from peft import CartridgeConfig, MultitaskPromptTuningConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (AutoModel, AutoModelForQuestionAnswering, AutoModelForSequenceClassification,
                          AutoModelForTokenClassification, BertConfig, BertForSequenceClassification, BertTokenizer)

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

CLASSES = {
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
    "QUESTION_ANS": AutoModelForQuestionAnswering,
    "FEATURE_EXTRACTION": AutoModel,
}
VARIANTS = {
    "prompt": lambda **k: PromptTuningConfig(num_virtual_tokens=3, **k),
    "ptuning-mlp": lambda **k: PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=6, **k),
    "ptuning-lstm": lambda **k: PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=5, encoder_num_layers=2,
                                                    encoder_reparameterization_type="LSTM", **k),
    "prefix": lambda **k: PrefixTuningConfig(num_virtual_tokens=3, **k),
    "prefix-projection": lambda **k: PrefixTuningConfig(num_virtual_tokens=3, encoder_hidden_size=7, prefix_projection=True, **k),
    "cartridge": lambda **k: CartridgeConfig(num_virtual_tokens=3, **k),
    "multitask": lambda **k: MultitaskPromptTuningConfig(num_virtual_tokens=3, num_tasks=2, num_ranks=2, **k),
}
TASKED = ("SEQ_CLS", "TOKEN_CLS")  # where PEFT takes task ids
INPUTS = [
    {"input_ids": [2, 11, 12, 13, 3], "token_type_ids": [0, 0, 0, 1, 1]},
    {"input_ids": [2, 20, 39, 3, 31, 7, 3], "token_type_ids": [0, 0, 0, 0, 1, 1, 1]},
]
BATCH = {"input_ids": [[2, 11, 12, 13, 3], [2, 35, 9, 30, 3]], "token_type_ids": [[0, 0, 0, 1, 1], [0, 0, 1, 1, 1]]}
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "far", "away", "from", "it", "all"]


def make_base():
    torch.manual_seed(7)
    config = BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                        max_position_embeddings=32, type_vocab_size=2, num_labels=3, hidden_dropout_prob=0.1,
                        attention_probs_dropout_prob=0.1)
    model = BertForSequenceClassification(config)
    for p in model.parameters():  # biases and norms away from 0 and 1
        p.data = p.data * 5 + 0.1 * torch.randn_like(p)
    model.save_pretrained("base")
    tensors = load_file("base/model.safetensors")
    tensors["qa_outputs.weight"] = torch.randn(2, 16) * 0.5
    tensors["qa_outputs.bias"] = torch.randn(2) * 0.5
    save_file(tensors, "base/model.safetensors", metadata={"format": "pt"})
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS
    vocab += [f"w{i}" for i in range(40 - len(vocab))]
    with open("base/vocab.txt", "w") as f:
        f.write("\n".join(vocab) + "\n")


def load_base(task):
    config = {"num_labels": 3} if task in ("SEQ_CLS", "TOKEN_CLS") else {"num_labels": 2} if task == "QUESTION_ANS" else {}
    return CLASSES[task].from_pretrained("base", attn_implementation="eager", **config).eval()


def outputs(model, task, expected, name):
    """Every input alone, in evaluation, under transformers' names. Where there are tasks, they take turns."""
    model.eval()
    for i, x in enumerate(INPUTS):
        if name.startswith("multitask"):
            x = {**x, "task_ids": i % 2}
        with torch.no_grad():
            y = model(**{k: torch.tensor([v]) for k, v in x.items()})
        if task == "FEATURE_EXTRACTION":
            expected[f"{name}.{i}.last_hidden_state"] = y.last_hidden_state[0]
        elif task == "QUESTION_ANS":
            expected[f"{name}.{i}.start_logits"] = y.start_logits[0]
            expected[f"{name}.{i}.end_logits"] = y.end_logits[0]
        else:
            expected[f"{name}.{i}.logits"] = y.logits[0]


def training(model, directory):
    """The training-time module and the gradients of one batch's loss."""
    model.eval()
    batch = BATCH if not directory.startswith("multitask") else {**BATCH, "task_ids": [1, 0]}
    y = model(**{k: torch.tensor(v) for k, v in batch.items()}, labels=torch.tensor([2, 0]))
    y.loss.backward()
    tensors = {"loss": y.loss.detach().reshape(1)}
    for name, p in model.named_parameters():
        if p.grad is None:
            continue
        name = name.replace("prompt_encoder.default.", "prompt_encoder.").replace(".modules_to_save.default.", ".")
        tensors["param." + name] = p.detach().clone()
        tensors["grad." + name] = p.grad.clone()
    save_file(tensors, f"{directory}/training.safetensors")


def save(model, directory):
    model.save_pretrained(directory)
    os.remove(f"{directory}/README.md")


def make_adapters(expected):
    for task in CLASSES:
        outputs(load_base(task), task, expected, "base-" + task.lower())
        for n, (variant, make) in enumerate(VARIANTS.items()):
            if variant == "multitask" and task not in TASKED:
                continue
            torch.manual_seed(100 + n)
            model = get_peft_model(load_base(task), make(task_type=task))
            for name, p in model.named_parameters():
                if p.requires_grad:
                    p.data += 0.3 * torch.randn_like(p)
            name = f"{variant}-{task.lower()}"
            model.eval()
            save(model, name)
            loaded = PeftModel.from_pretrained(load_base(task), name)
            outputs(loaded, task, expected, name)
            if task == "SEQ_CLS":
                training(model, name)


def make_without_task(expected):
    shutil.copytree("prompt-seq_cls", "prompt-null", dirs_exist_ok=True)
    os.remove("prompt-null/training.safetensors")
    with open("prompt-null/adapter_config.json") as f:
        config = json.load(f)
    config["task_type"] = None
    with open("prompt-null/adapter_config.json", "w") as f:
        f.write(json.dumps(config, indent=2, sort_keys=True))
    outputs(PeftModel.from_pretrained(load_base("SEQ_CLS"), "prompt-null"), "SEQ_CLS", expected, "prompt-null")


def make_dtypes(expected):
    """The same adapter in other dtypes, and with a tensor that PEFT does not know."""
    tensors = load_file("prompt-seq_cls/adapter_model.safetensors")
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        name = "prompt-" + str(dtype).removeprefix("torch.")
        os.makedirs(name, exist_ok=True)
        shutil.copy("prompt-seq_cls/adapter_config.json", name)
        cast = {k: v.to(dtype) for k, v in tensors.items()}
        cast["extra.counter"] = torch.tensor([1, 2, 3])
        save_file(cast, f"{name}/adapter_model.safetensors", metadata={"format": "pt"})
        outputs(PeftModel.from_pretrained(load_base("SEQ_CLS"), name), "SEQ_CLS", expected, name)


def make_inits(expected):
    for name, text, n in [("text-tiled", "the cat sat", 12), ("text-cut", "the dog ran far away from it all", 4)]:
        torch.manual_seed(1)
        config = PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=n, prompt_tuning_init="TEXT",
                                    prompt_tuning_init_text=text, tokenizer_name_or_path="base")
        save(get_peft_model(load_base("FEATURE_EXTRACTION"), config), name)
        ids = BertTokenizer("base/vocab.txt")(text).input_ids
        expected[f"{name}.ids"] = torch.tensor(ids)
    torch.manual_seed(1)
    zero = PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=2, init_weights="zero")
    save(get_peft_model(load_base("SEQ_CLS"), zero), "prefix-zero")
    sampled = PromptTuningConfig(task_type="TOKEN_CLS", num_virtual_tokens=2, prompt_tuning_init="SAMPLE_VOCAB")
    save(get_peft_model(load_base("TOKEN_CLS"), sampled), "prompt-sampled")


def make_targets():
    """New adapters that start from the tasks of another."""
    for name, init in {"average": "AVERAGE_SOURCE_TASKS", "exact": "EXACT_SOURCE_TASK", "shared": "ONLY_SOURCE_SHARED"}.items():
        torch.manual_seed(1)
        config = MultitaskPromptTuningConfig(
            task_type="SEQ_CLS", num_virtual_tokens=3, num_ranks=2, prompt_tuning_init=init, prompt_tuning_init_task=1,
            prompt_tuning_init_state_dict_path="multitask-seq_cls/adapter_model.safetensors")
        save(get_peft_model(load_base("SEQ_CLS"), config), "multitask-" + name)


def make_init_stats():
    """What PEFT's own initialisation looks like on a wide base: name, count, mean, deviation, quantiles."""
    config = BertConfig(vocab_size=40, hidden_size=48, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8,
                        num_labels=3, max_position_embeddings=300)
    stats = {}
    for n, (variant, make) in enumerate({
        "prompt": lambda: PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=200),
        "ptuning-mlp": lambda: PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=200, encoder_hidden_size=64),
        "ptuning-lstm": lambda: PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=200, encoder_hidden_size=32,
                                                    encoder_num_layers=2, encoder_reparameterization_type="LSTM"),
        "prefix": lambda: PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=200),
        "prefix-projection": lambda: PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=200, encoder_hidden_size=64,
                                                        prefix_projection=True),
        "cartridge": lambda: CartridgeConfig(task_type="SEQ_CLS", num_virtual_tokens=200),
        "multitask": lambda: MultitaskPromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=200, num_tasks=2, num_ranks=2),
    }.items()):
        torch.manual_seed(500 + n)
        model = get_peft_model(BertForSequenceClassification(config), make())
        stats[variant] = []
        for name, p in model.prompt_encoder.default.named_parameters():
            if not p.requires_grad:
                continue
            x = p.detach().double().flatten()
            stats[variant].append({
                "name": name, "shape": list(p.shape), "mean": x.mean().item(), "deviation": x.std(correction=0).item(),
                "largest": x.abs().max().item(),
                "quantiles": torch.quantile(x, torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95], dtype=torch.float64)).tolist()})
    with open("init_stats.json", "w") as f:
        f.write(json.dumps(stats, indent=1) + "\n")


def main():
    expected = {}
    make_base()
    make_adapters(expected)
    make_without_task(expected)
    make_dtypes(expected)
    make_inits(expected)
    make_targets()
    make_init_stats()
    save_file(expected, "expected.safetensors")


if __name__ == "__main__":
    main()
