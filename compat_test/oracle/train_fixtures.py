"""Makes the goldens of train/testdata with torch, transformers, scikit-learn, seqeval and pyarrow.

    python compat_test/oracle/train_fixtures.py train/testdata

They are what the tests of package train compare with; gopeft never writes them.
"""

import importlib.metadata
import json
import re
import string
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers
from scipy.stats import pearsonr
from seqeval.metrics import f1_score as entity_f1
from seqeval.metrics import precision_score as entity_precision
from seqeval.metrics import recall_score as entity_recall
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


def versions(*names):
    return {name: importlib.metadata.version(name) for name in names}


def optimizer(decay, max_norm):
    """Ten steps of clipping and AdamW on two parameters with random gradients."""
    params = [torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.randn(5))]
    start = [p.detach().flatten().tolist() for p in params]
    adamw = torch.optim.AdamW(params, lr=0.02, weight_decay=decay, foreach=False)
    schedule = transformers.get_linear_schedule_with_warmup(adamw, 2, 10)
    steps = []
    for _ in range(10):
        for p in params:
            p.grad = torch.randn(p.shape)
        gradients = [p.grad.flatten().tolist() for p in params]
        norm = torch.nn.utils.clip_grad_norm_(params, max_norm, foreach=False).item()
        clipped = [p.grad.flatten().tolist() for p in params]
        adamw.step()
        schedule.step()
        values = [p.detach().flatten().tolist() for p in params]
        steps.append({"gradients": gradients, "norm": norm, "clipped": clipped, "values": values})
    return {"decay": decay, "max_norm": max_norm, "start": start, "steps": steps}


def schedules():
    cases = []
    for name in ("linear", "cosine", "constant_with_warmup"):
        for warmup, steps in ((0, 7), (3, 10), (10, 10), (1, 1)):
            adamw = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            s = transformers.get_scheduler(name, adamw, warmup, steps)
            factors = []
            for _ in range(steps):
                factors.append(s.get_last_lr()[0])
                adamw.step()
                s.step()
            cases.append({"schedule": name.split("_")[0], "warmup": warmup, "steps": steps, "factors": factors})
    return cases


def classes(rng):
    cases = []
    for n, count, present in ((40, 2, 2), (60, 5, 5), (30, 6, 4), (10, 3, 1)):
        wanted = rng.integers(0, present, n)
        predicted = np.where(rng.random(n) < 0.6, wanted, rng.integers(0, present, n))
        case = {
            "classes": count, "wanted": wanted.tolist(), "predicted": predicted.tolist(),
            "accuracy": accuracy_score(wanted, predicted), "mcc": matthews_corrcoef(wanted, predicted),
            "micro": f1_score(wanted, predicted, average="micro"), "macro": f1_score(wanted, predicted, average="macro"),
        }
        if count == 2:
            case["binary"] = f1_score(wanted, predicted)
        cases.append(case)
    return cases


def several(rng):
    wanted, predicted = rng.random((20, 4)) < 0.4, rng.random((20, 4)) < 0.4
    wanted[:, 3] = predicted[:, 3] = False
    return {
        "wanted": wanted.tolist(), "predicted": predicted.tolist(), "accuracy": accuracy_score(wanted, predicted),
        "micro": f1_score(wanted, predicted, average="micro", zero_division=0),
        "macro": f1_score(wanted, predicted, average="macro", zero_division=0),
    }


def entities(rng):
    cases = []
    for tags in (["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], ["O", "B-A", "I-A", "E-A", "S-A", "S-B", "I-B"]):
        wanted = [[tags[i] for i in rng.integers(0, len(tags), n)] for n in (1, 3, 8, 12, 30, 40)]
        predicted = [[t if rng.random() < 0.8 else tags[rng.integers(0, len(tags))] for t in s] for s in wanted]
        cases.append({
            "wanted": wanted, "predicted": predicted, "f1": entity_f1(wanted, predicted),
            "precision": entity_precision(wanted, predicted), "recall": entity_recall(wanted, predicted),
        })
    return cases


def words(text):
    """The words that SQuAD compares: lower case, no punctuation, no articles, in this order."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def overlap(prediction, right):
    """SQuAD's F1 of two bags of words; of an empty one whether both are."""
    p, w = words(prediction), words(right)
    if not p or not w:
        return float(p == w)
    return 2 * (Counter(p) & Counter(w)).total() / (len(p) + len(w))


def answers():
    cases = []
    for prediction, right in (
        ("The Eiffel Tower", ["Eiffel Tower", "the tower of Eiffel"]),
        ("in 1889, at a fair", ["1889"]), ("an apple", ["apples", "orange"]), ("", [""]), ("something", [""]),
        ("U.S. $5 Theater", ["us 5 theater"]), ("the-the man", ["man"]), ("a\u2013b", ["b", "\u2013b"]),
        ("x x y", ["x y y"]),
    ):
        cases.append({
            "prediction": prediction, "answers": right,
            "exact": float(any(words(a) == words(prediction) for a in right)),
            "f1": max(overlap(prediction, a) for a in right),
        })
    return cases


def regression(rng):
    x = rng.normal(size=30)
    y = x + rng.normal(size=30)
    return {"x": x.tolist(), "y": y.tolist(), "pearson": pearsonr(x, y)[0], "mse": float(((x - y) ** 2).mean())}


def parquet(folder):
    """A file as the datasets library writes it, with the names of classes in its metadata."""
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "sentence": {"dtype": "string", "_type": "Value"}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"sentence": ["good", "bad, \u00fcbel", "fine"], "label": pa.array([1, 0, 1], pa.int64())})
    pq.write_table(table.replace_schema_metadata(meta), folder / "labels.parquet", compression="snappy")
    tokens = pa.table({"tokens": [["EU", "rejects"], ["Peter"]], "ner_tags": [["B-ORG", "O"], ["B-PER"]]})
    pq.write_table(tokens, folder / "tokens.parquet", compression="zstd")
    squad = pa.table({
        "question": ["who?", "when?"], "context": ["It was Ada.", "Nobody knows."],
        "answers": [{"text": ["Ada"], "answer_start": [7]}, {"text": [], "answer_start": []}],
    })
    pq.write_table(squad, folder / "squad.parquet")


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(20260101)
    rng = np.random.default_rng(20260101)
    optim = {
        "versions": versions("torch", "transformers"),
        "runs": [optimizer(0.0, 1.0), optimizer(0.1, 100.0)], "schedules": schedules(),
    }
    metrics = {
        "versions": versions("scikit-learn", "seqeval", "scipy", "transformers"),
        "classes": classes(rng), "several": several(rng), "entities": entities(rng),
        "answers": answers(), "regression": regression(rng),
    }
    (folder / "optim.json").write_text(json.dumps(optim) + "\n")
    (folder / "metrics.json").write_text(json.dumps(metrics) + "\n")
    parquet(folder)


if __name__ == "__main__":
    main()
