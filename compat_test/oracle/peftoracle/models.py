"""Loading bases and adapters as transformers and PEFT do, strictly: nothing is left at random values unnoticed."""

import json
import warnings
from pathlib import Path

import peft
import torch
import transformers

# The model class of each task. MASKED_LM is no task of PEFT: it is there for the base model alone.
TASKS = {
    "SEQ_CLS": transformers.AutoModelForSequenceClassification,
    "TOKEN_CLS": transformers.AutoModelForTokenClassification,
    "QUESTION_ANS": transformers.AutoModelForQuestionAnswering,
    "FEATURE_EXTRACTION": transformers.AutoModel,
    "MASKED_LM": transformers.AutoModelForMaskedLM,
    "CAUSAL_LM": transformers.AutoModelForCausalLM,
    "SEQ_2_SEQ_LM": transformers.AutoModelForSeq2SeqLM,
}
HEADS = ("classifier", "score", "qa_outputs", "pooler")  # what PEFT trains and saves beside the prompt; a pooler of DeBERTa only where modules_to_save names it
DTYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}


def deterministic(seed, threads):
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)


def model_class(task, architecture):
    """The class that an explicit architecture names, else the task's."""
    if architecture:
        return getattr(transformers, architecture)
    if task not in TASKS:
        raise ValueError(f"task {task} needs --architecture, the name of a transformers class")
    return TASKS[task]


def is_head(name):
    return name.split(".")[0] in HEADS


def load_base(path, task, architecture=None, num_labels=None, problem_type=None, dtype="float32", attention="eager", new_head=False):
    """The base model in evaluation mode. Weights that the directory lacks are an error; with new_head, those of the head are not."""
    overrides = {"num_labels": num_labels, "problem_type": problem_type, "gguf_file": gguf_file(path)}
    model, info = model_class(task, architecture).from_pretrained(
        path,
        dtype=DTYPES[dtype],
        attn_implementation=attention,
        output_loading_info=True,
        **{key: value for key, value in overrides.items() if value is not None},
    )
    missing = sorted(key for key in info["missing_keys"] if not (new_head and is_head(key)))
    if missing or info["mismatched_keys"]:
        raise ValueError(f"{path}: missing tensors {missing}, misshaped tensors {sorted(info['mismatched_keys'])}")
    return model.eval()


def gguf_file(path):
    """The name of the GGUF file that a directory without a config.json holds."""
    if not (Path(path) / "config.json").exists():
        for file in Path(path).glob("*.gguf"):
            return file.name


def labels_in_adapter(path):
    """The number of labels of the adapter's head, None where it has no classification head."""
    for name, tensor in peft.utils.load_peft_weights(str(path), device="cpu").items():
        if name.endswith((".classifier.weight", ".classifier.out_proj.weight", ".score.weight")):
            return tensor.shape[0]
    return None


def load_adapter(base_path, adapter_path, task, allow_warnings=False, num_labels=None, **options):
    """The base with a saved adapter, as PeftModel.from_pretrained gives it. A warning while loading is an error."""
    base = load_base(base_path, task, num_labels=num_labels or labels_in_adapter(adapter_path), new_head=True, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = peft.PeftModel.from_pretrained(base, str(adapter_path))
    texts = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]  # deprecations are not ours
    if texts and not allow_warnings:
        raise ValueError(f"{adapter_path}: PEFT warns while loading: {texts}")
    return model.eval()


def rename_base(model, name):
    """Makes saved adapters state `name` as their base, whatever folder the base came from."""
    model.name_or_path = name
    model.config._name_or_path = name


def trainable(model):
    """The trained parameters by the names that gopeft's side file uses.

    The prompt encoder's are PEFT's own without `prompt_encoder.default.` (embedding.weight, mlp_head.0.weight,
    lstm_head.weight_ih_l0, transform.0.weight); LoRA's factors and the head's are those of the adapter file (base_model.classifier.weight).
    """
    named = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            name = name.removeprefix("prompt_encoder.default.").replace(".modules_to_save.default.", ".")
            name = name.replace(".lora_A.default.", ".lora_A.").replace(".lora_B.default.", ".lora_B.")
            named[name.replace(".lora_magnitude_vector.default.weight", ".lora_magnitude_vector")] = parameter
    return named


def snapshot(named):
    return {name: tensor.detach().clone().contiguous() for name, tensor in named.items()}


def versions():
    return {"peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}


def metadata():
    """For safetensors files: one key, since the library writes several in a random order."""
    return {"made_with": json.dumps(versions())}


def read_jsonl(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]


def write_jsonl(path, rows):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows), encoding="utf-8")
