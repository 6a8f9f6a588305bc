"""Makes internal/kernel/testdata/torch.json with torch.

    python compat_test/oracle/kernel_fixtures.py internal/kernel/testdata

Each case holds inputs, the value and the gradients of sum(value * weight) as
torch computes them in float64 and stores them in float32. It is what the tests
of internal/kernel compare with; gopeft never writes it.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


def plain(tensor):
    """NaN becomes null: JSON has no NaN."""
    data = [None if x != x else x for x in tensor.detach().float().flatten().tolist()]
    return {"shape": list(tensor.shape), "data": data}


def randn(*shape):
    """Values that float32 holds exactly, so that both sides start from the same numbers."""
    return torch.randn(*shape).double().requires_grad_()


def case(inputs, value, **extra):
    weight = torch.ones_like(value) if value.dim() == 0 else torch.randn(*value.shape).double()
    (value * weight).sum().backward()
    gradients = {k: plain(v.grad if v.grad is not None else torch.zeros_like(v)) for k, v in inputs.items()}
    inputs = {k: plain(v) for k, v in inputs.items()}
    return {"inputs": inputs, "value": plain(value), "weight": plain(weight), "gradients": gradients, **extra}


def lstm():
    model = nn.LSTM(input_size=6, hidden_size=5, num_layers=1, bidirectional=True, batch_first=True).double()
    for p in model.parameters():
        p.data = p.data.float().double()
    x = randn(7, 6)
    y, _ = model(x.unsqueeze(0))
    return case({"x": x, **dict(model.named_parameters())}, y.squeeze(0))


def attention(heads=2, key_heads=2, causal=False, bias=None):
    """Two sequences of 5 and 3 rows, heads of 4; both attend to one past of 3 rows.

    bias is added to the scores by the distance of the key from the query: bias[head, zero + distance],
    the ends of the table serving what is beyond them.
    """
    size, lengths, past = 4, [5, 3], 3
    widths = [heads * size, key_heads * size, key_heads * size]
    qkv, keys, values = randn(sum(lengths), sum(widths)), randn(past, widths[1]), randn(past, widths[1])

    def split(t):
        return t.reshape(1, len(t), -1, size).transpose(1, 2)

    out = []
    for rows in qkv.split(lengths):
        q, k, v = rows.split(widths, dim=1)
        k, v = torch.cat([keys, k]), torch.cat([values, v])
        distance = torch.arange(len(k)) - (past + torch.arange(len(q))).unsqueeze(1)
        mask = torch.zeros(heads, *distance.shape).double()
        if bias:
            mask += bias["values"][:, (distance + bias["zero"]).clamp(0, bias["values"].size(1) - 1)]
        if causal:
            mask.masked_fill_(distance > 0, float("-inf"))
        y = F.scaled_dot_product_attention(split(q), split(k), split(v), mask.unsqueeze(0), enable_gqa=heads != key_heads)
        out.append(y.transpose(1, 2).reshape(-1, widths[0]))
    table = {"bias": plain(bias["values"]), "zero": bias["zero"]} if bias else {}
    inputs = {"qkv": qkv, "keys": keys, "values": values}
    return case(inputs, torch.cat(out), lengths=lengths, heads=heads, key_heads=key_heads, causal=causal, **table)


def layer_norm():
    x, residual = randn(4, 9), randn(4, 9)
    gamma, beta = torch.randn(9).double(), torch.randn(9).double()
    y = F.layer_norm(x + residual, (9,), gamma, beta, 1e-12)
    return case({"x": x, "residual": residual}, y, gamma=plain(gamma), beta=plain(beta), eps=1e-12)


def gelu():
    x = torch.linspace(-6, 6, 49).double().reshape(7, 7).requires_grad_()
    return case({"x": x}, F.gelu(x))


def cross_entropy(targets):
    x = randn(len(targets), 4)
    return case({"x": x}, F.cross_entropy(x, torch.tensor(targets)), targets=targets)


def mse():
    x, targets = randn(3, 2), torch.randn(3, 2).double()
    return case({"x": x}, F.mse_loss(x, targets), targets=plain(targets))


def bce():
    x, targets = (randn(3, 2).detach() * 20).requires_grad_(), torch.rand(3, 2).double()
    x.data, targets = x.data.float().double(), targets.float().double()
    return case({"x": x}, F.binary_cross_entropy_with_logits(x, targets), targets=plain(targets))


def span_cross_entropy():
    """BertForQuestionAnswering of transformers, sequences of equal length (nothing is padded)."""
    logits = randn(3, 6, 2)
    starts, ends = [2, 6, -1], [5, 0, 8]
    start_logits, end_logits = (x.squeeze(-1) for x in logits.split(1, dim=-1))
    ignored = start_logits.size(1)
    loss = nn.CrossEntropyLoss(ignore_index=ignored)
    value = (
        loss(start_logits, torch.tensor(starts).clamp(0, ignored))
        + loss(end_logits, torch.tensor(ends).clamp(0, ignored))
    ) / 2
    return case({"x": logits}, value, length=6, starts=starts, ends=ends)


def main():
    torch.manual_seed(20240917)
    cases = {
        "lstm": lstm(),
        "attention": attention(),
        "layer_norm": layer_norm(),
        "gelu": gelu(),
        "cross_entropy": cross_entropy([1, 3, -100, 0, 2]),
        "cross_entropy_all_ignored": cross_entropy([-100, -100]),
        "mse": mse(),
        "bce_with_logits": bce(),
        "span_cross_entropy": span_cross_entropy(),
        "attention_grouped_causal": attention(heads=4, key_heads=2, causal=True),
        "attention_bias": attention(bias={"values": torch.randn(2, 6).double(), "zero": 4}),
    }
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    made_by = f"compat_test/oracle/kernel_fixtures.py, torch {torch.__version__}, seed 20240917"
    with open(out / "torch.json", "w") as f:
        json.dump({"made_by": made_by, "cases": cases}, f, indent=None, separators=(",", ":"), allow_nan=False)
        f.write("\n")


if __name__ == "__main__":
    main()
