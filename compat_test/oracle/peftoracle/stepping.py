"""steps: AdamW steps of torch on a PEFT model from a given start, or on all weights of a base from its own, dropout off.

Data, one batch a line: {"batch": [sequence, ...]}, sequences as in forward. Step k uses line k. The sequences are run one by
one, unpadded, and their losses put together. SEQ_CLS and TOKEN_CLS give the loss of the padded batch; QUESTION_ANS cannot, since
transformers lets the logits of pads compete in the softmax there:
  SEQ_CLS             mean over the sequences of the model's loss (cross entropy, mean squared error or binary cross entropy)
  TOKEN_CLS           mean over all labelled tokens of the batch (label -100: not labelled). Labels are given for the real
                      tokens; with input-level methods the oracle puts -100 before them for the virtual ones, as PEFT does not
  CAUSAL_LM           mean over all labelled tokens of the batch that a row predicts: a first token only behind virtual ones
  SEQ_2_SEQ_LM        mean over all labelled tokens of the batch
  QUESTION_ANS        mean over the sequences of (start loss + end loss) / 2; positions beyond the logits are an error
  FEATURE_EXTRACTION  no loss in transformers; here the mean squared difference between labels [hidden] and the mean of the
                      rows of last_hidden_state (virtual tokens' rows included), mean over the sequences
A step: gradients; clipping by the norm over all trained parameters, if asked; AdamW with one parameter group, or of a base without
an adapter with the two of transformers' Trainer, which decays no biases and norms; the schedule.

Output, safetensors: start.NAME, step.K.NAME (parameters after step K), grad.1.NAME (before clipping), prompt_embeddings and head
as save_pretrained would write them after the last step under adapter.NAME, and loss, learning_rate, grad_norm, each [steps].

AdamW divides a gradient by its own size, so where the true gradient is zero it makes full steps of rounding errors: in
ROUNDING_ONLY no two implementations agree. --dtype float64 tells how far rounding moves the rest.
"""

from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

from . import adapters, forwards, models

# The bias shifts all start (or end) logits by the same amount, which no softmax sees; of a whole model the keys' biases do so
# with the scores of attention.
ROUNDING_ONLY = ("base_model.qa_outputs.bias", "qa_outputs.bias", "attention.self.key.bias")


def steps(args):
    model = whole(args) if args.adapter_config is None else tuned(args)
    batches = [row["batch"] for row in models.read_jsonl(args.data)]
    if len(batches) < args.steps:
        raise ValueError(f"{args.data}: {len(batches)} batches, {args.steps} steps wanted")
    result = train(model, args, batches[: args.steps])
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    save_file(result, args.out, metadata=models.metadata())
    if args.save_adapter:
        model.save_pretrained(args.save_adapter)


def whole(args):
    base = models.load_base(args.base, args.task, args.architecture, args.num_labels, args.problem_type)
    return base.to(models.DTYPES[args.dtype]).eval()


def tuned(args):
    config = adapters.config_from_file(args.adapter_config)
    start = load_file(args.start)
    labels = args.num_labels or head_labels(start)
    base = models.load_base(args.base, args.task, args.architecture, labels, args.problem_type, new_head=True)
    model = adapters.wrap(base, config).to(models.DTYPES[args.dtype]).eval()
    set_parameters(models.trainable(model), start)
    set_frozen_tokens(model, Path(args.adapter_config).parent)
    return model


def head_labels(start):
    return next((t.shape[0] for name, t in start.items() if name.endswith(("classifier.weight", "score.weight"))), None)


@torch.no_grad()
def set_parameters(named, start):
    if named.keys() != start.keys():
        raise ValueError(f"start has {sorted(start)}, the model trains {sorted(named)}")
    for name, parameter in named.items():
        if parameter.shape != start[name].shape:
            raise ValueError(f"{name}: start has shape {list(start[name].shape)}, the model {list(parameter.shape)}")
        parameter.copy_(start[name])


@torch.no_grad()
def set_frozen_tokens(model, adapter):
    """The tokens that CARTRIDGE does not train are in no start: they are those of the adapter that the config belongs to."""
    if model.peft_config["default"].peft_type == "CARTRIDGE" and model.peft_config["default"].num_frozen_tokens:
        encoder = model.prompt_encoder["default"]
        stored = peft.utils.load_peft_weights(str(adapter), device="cpu")["prompt_embeddings"]
        encoder.frozen_embedding.copy_(stored[: encoder.num_frozen_tokens])


def train(model, args, batches):
    named = models.trainable(model)
    result = prefixed("start", named) if args.keep != "end" else {}
    optimizer = torch.optim.AdamW(groups(model, named), lr=args.lr, betas=(args.beta1, args.beta2), eps=args.eps, weight_decay=args.weight_decay)
    schedule = transformers.get_scheduler(args.schedule, optimizer, args.warmup_steps, args.total_steps or args.steps)
    history = {"loss": [], "learning_rate": [], "grad_norm": []}
    for number, batch in enumerate(batches, start=1):
        history["loss"].append(accumulate(model, args.task, batch))
        if number == 1:
            result |= prefixed("grad.1", {name: gradient(parameter) for name, parameter in named.items()})
        history["grad_norm"].append(torch.nn.utils.clip_grad_norm_(named.values(), args.clip or float("inf")).item())
        history["learning_rate"].append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if args.keep == "all" or number == len(batches):
            result |= prefixed(f"step.{number}", named)
    if is_tuned(model):
        result |= prefixed("adapter", peft.get_peft_model_state_dict(model))
    return result | {name: torch.tensor(numbers, dtype=torch.float64) for name, numbers in history.items()}


def is_tuned(model):
    return hasattr(model, "peft_config")


def groups(model, named):
    if is_tuned(model):
        return named.values()
    decayed = transformers.Trainer.get_decay_parameter_names(None, model)
    return [
        {"params": [parameter for name, parameter in named.items() if name in decayed]},
        {"params": [parameter for name, parameter in named.items() if name not in decayed], "weight_decay": 0.0},
    ]


def prefixed(prefix, named):
    return {f"{prefix}.{name}": tensor for name, tensor in models.snapshot(named).items()}


def gradient(parameter):
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def accumulate(model, task, batch):
    """Adds the gradients of the batch's loss and returns the loss."""
    weights = [weight(model, task, example) for example in batch]
    total = 0.0
    for example, own in zip(batch, weights):
        loss = sequence_loss(model, task, example) * (own / sum(weights))
        loss.backward()
        total += loss.item()
    return total


def weight(model, task, example):
    """The number of terms that the mean of this sequence's loss runs over, where sequences differ in it."""
    if task == "CAUSAL_LM":  # a first token without virtual tokens before it is predicted by none
        own = sum(label != -100 for label in example["labels"][0 if virtual_tokens(model) else 1 :])
        return own + labels_in_context(model)
    if task in ("TOKEN_CLS", "SEQ_2_SEQ_LM"):
        return sum(label != -100 for label in example["labels"])
    return 1


def labels_in_context(model):
    """Of CPT: the tokens of its context that the loss has terms for."""
    config = model.peft_config["default"] if is_tuned(model) else None
    if config is None or config.peft_type != "CPT":
        return 0
    return sum(kind > 0 and kind % 4 == 0 for kind in config.cpt_tokens_type_mask[1:])


def sequence_loss(model, task, example):
    if task == "FEATURE_EXTRACTION":
        mean = model(**forwards.tensors(task, example, model)).last_hidden_state[0].mean(dim=0)
        return torch.nn.functional.mse_loss(mean, torch.tensor(example["labels"], dtype=mean.dtype))
    virtual = virtual_tokens(model)
    if task == "TOKEN_CLS":
        example = {**example, "labels": [-100] * virtual + example["labels"]}
    if task == "QUESTION_ANS" and max(example["start_positions"], example["end_positions"]) >= virtual + len(example["input_ids"]):
        raise ValueError(f"span beyond the logits: {example}")
    return model(**forwards.tensors(task, example, model)).loss


def virtual_tokens(model):
    """The rows that the adapter puts before the tokens."""
    if not is_tuned(model):
        return 0
    config = model.peft_config["default"]
    return config.num_virtual_tokens if config.peft_type in adapters.INPUT_LEVEL else 0
