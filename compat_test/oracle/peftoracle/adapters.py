"""make-adapter and resave: adapter directories as PEFT writes them."""

import json
from pathlib import Path

import peft
import torch
from peft.tuners.p_tuning.config import PromptEncoderReparameterizationType
from safetensors.torch import save_file

from . import models

# Each method: PEFT's config class and the fields that make the variant.
METHODS = {
    "prompt": (peft.PromptTuningConfig, {}),
    "ptuning-mlp": (peft.PromptEncoderConfig, {"encoder_reparameterization_type": "MLP"}),
    "ptuning-lstm": (peft.PromptEncoderConfig, {"encoder_reparameterization_type": "LSTM"}),
    "prefix": (peft.PrefixTuningConfig, {}),
    "prefix-projection": (peft.PrefixTuningConfig, {"prefix_projection": True}),
    "cartridge": (peft.CartridgeConfig, {}),
    "lora": (peft.LoraConfig, {}),
    "multitask": (peft.MultitaskPromptTuningConfig, {"num_tasks": 2, "num_ranks": 2}),
    "cpt": (peft.CPTConfig, {}),
}
INPUT_LEVEL = ("PROMPT_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "CPT")  # the methods that lengthen the sequence


def runs(method, task):
    """PEFT gives task ids to the prompt in these tasks only, and knows CPT in one."""
    if method == "cpt":
        return task == "CAUSAL_LM"
    return method != "multitask" or task in ("SEQ_CLS", "TOKEN_CLS", "SEQ_2_SEQ_LM")


def method_config(method, task, virtual_tokens, fields=None):
    kind, variant = METHODS[method]
    sizes = {} if kind in (peft.LoraConfig, peft.CPTConfig) else {"num_virtual_tokens": virtual_tokens}
    return build_config(kind, {**variant, **sizes, "task_type": task, **(fields or {})})


def build_config(kind, fields):
    """A config for training. PEFT wants the encoder's type as its enum, which JSON cannot hold."""
    fields = dict(fields)
    if "encoder_reparameterization_type" in fields:
        fields["encoder_reparameterization_type"] = PromptEncoderReparameterizationType(fields["encoder_reparameterization_type"])
    return kind(**fields)


def config_from_file(path):
    """A config for training from an adapter_config.json."""
    fields = json.loads(Path(path).read_text(encoding="utf-8"))
    kind = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[fields.pop("peft_type")]
    return build_config(kind, {**fields, "inference_mode": False})


def wrap(base, config):
    """A new adapter on the base. get_peft_model refuses a null task, the class itself does not."""
    if config.task_type is None:
        return peft.PeftModel(base, config)
    return peft.get_peft_model(base, config)


def make_adapter(args):
    base = models.load_base(args.base, args.task, args.architecture, args.num_labels, new_head=True)
    if args.base_name:
        models.rename_base(base, args.base_name)
    task = None if args.task == "null" else args.task
    model = wrap(base, method_config(args.method, task, args.virtual_tokens, args.config)).eval()
    if not args.untrained:
        disturb(model)
    model.save_pretrained(args.out, safe_serialization=not args.bin)
    if args.state:
        Path(args.state).parent.mkdir(parents=True, exist_ok=True)
        save_file(models.snapshot(models.trainable(model)), args.state, metadata=models.metadata())


@torch.no_grad()
def disturb(model):
    """Moves every trained weight by a third of its tensor's root mean square, as training would; zeros by 0.05.

    A head's matrix moves by 1/sqrt(inputs) at least: as drawn anew it hardly tells one sequence from another.
    """
    for name, parameter in models.trainable(model).items():
        scale = parameter.square().mean().sqrt().item() / 3
        if name.startswith("base_model.") and parameter.dim() == 2:
            scale = max(scale, parameter.shape[1] ** -0.5)
        parameter.add_(torch.randn_like(parameter), alpha=scale or 0.05)


def resave(args):
    model = models.load_adapter(args.base, args.adapter, args.task, args.allow_warnings, args.num_labels, architecture=args.architecture)
    model.save_pretrained(args.out, safe_serialization=not args.bin)
