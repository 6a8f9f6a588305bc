"""init-stats: the distributions that PEFT's initialisations draw from, pooled over many draws."""

import json
from pathlib import Path

import torch

from . import adapters, models

QUANTILES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


def init_stats(args):
    """Writes {method: {tensor: statistics}}; prompt tuning with SAMPLE_VOCAB as statistics of the sampled ids."""
    report = {"versions": models.versions(), "draws": args.draws, "virtual_tokens": args.virtual_tokens}
    for method in args.methods or [m for m in adapters.METHODS if adapters.runs(m, args.task)]:
        report[method] = pooled(args, method, {})
    report["prompt SAMPLE_VOCAB"] = sampled_vocabulary(args)
    for method in ("prefix", "prefix-projection"):
        report[method + " zero"] = pooled(args, method, {"init_weights": "zero"})
    Path(args.out).write_text(json.dumps(report, indent=1), encoding="utf-8")


def fresh(args, method, fields):
    base = models.load_base(args.base, args.task, None, args.num_labels, new_head=True)
    fields = {**fields, **args.config} if method.startswith("ptuning") else fields
    return adapters.wrap(base, adapters.method_config(method, args.task, args.virtual_tokens, fields))


def pooled(args, method, fields):
    values = {}
    for _ in range(args.draws):
        for name, tensor in models.trainable(fresh(args, method, fields)).items():
            values.setdefault(name, []).append(tensor.detach().clone())
    return {name: statistics(torch.stack(tensors)) for name, tensors in values.items()}


def statistics(tensor):
    flat = tensor.double().flatten()
    return {
        "shape": list(tensor.shape[1:]),
        "count": flat.numel(),
        "mean": flat.mean().item(),
        "std": flat.std(correction=0).item(),
        "min": flat.min().item(),
        "max": flat.max().item(),
        "quantiles": {str(q): quantile(flat, q) for q in QUANTILES},
    }


def quantile(flat, q):
    return flat.kthvalue(max(1, round(q * flat.numel()))).values.item()


def sampled_vocabulary(args):
    """Which vocabulary rows SAMPLE_VOCAB takes: every prompt row must be one."""
    ids = []
    for _ in range(args.draws):
        model = fresh(args, "prompt", {"prompt_tuning_init": "SAMPLE_VOCAB"})
        table = model.get_input_embeddings().weight
        for row in model.prompt_encoder["default"].embedding.weight:
            ids.append(int((table == row).all(dim=1).nonzero()[0]))
    ids = torch.tensor(ids)
    return {"rows": len(table), **statistics(ids[None]), "distinct": len(ids.unique())}
