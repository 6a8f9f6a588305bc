"""selftest: every command on tiny models, with the properties that must hold between their results."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from . import adapters, goldens, models, stepping


def selftest(args):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        args.call("goldens", str(folder / "a"))
        args.call("goldens", str(folder / "b"))
        same_files(folder / "a", folder / "b")
        cells = [(case, method) for case in goldens.CASES if case not in ("MASKED_LM", "null") for method in goldens.methods_of(case)]
        for case, method in cells:
            check_cell(args.call, folder / "a" / case, method, goldens.CASES[case][0], folder / "resaved" / case / method)
        check_text(args.call, folder)
    print(f"selftest: {len(cells)} cells of method and task, everything passed")


def require(condition, text):
    if not condition:
        raise AssertionError(text)


def same_files(a, b):
    """Two runs write the same bytes."""
    for file in sorted(p for p in a.rglob("*") if p.is_file()):
        require(file.read_bytes() == (b / file.relative_to(a)).read_bytes(), f"{file}: two runs differ")


def check_cell(call, case, method, task, out):
    folder, name = case / method, f"{case.name} {method}"
    with_adapter, without = (models.read_jsonl(f / "forward.jsonl") for f in (folder, case))
    require(with_adapter != without, f"{name}: the adapter has no effect")
    require(all("error" not in row for row in with_adapter), f"{name}: a forward failed")
    require(task == "FEATURE_EXTRACTION" or all("loss" in row for row in with_adapter), f"{name}: no loss")
    call("resave", "--base", str(case / "base"), "--adapter", str(folder / "adapter"), "--task", task, "--out", str(out))
    file = "adapter_model.safetensors"
    require((out / file).read_bytes() == (folder / "adapter" / file).read_bytes(), f"{name}: resaved weights differ")
    check_steps(case, folder, task, name)
    if task in ("SEQ_CLS", "TOKEN_CLS"):
        check_padded_loss(case, folder, task, name)


def check_steps(case, folder, task, name):
    result, state = load_file(folder / "steps.safetensors"), load_file(folder / "state.safetensors")
    saved = load_file(folder / "adapter" / "adapter_model.safetensors")
    require(len(result["loss"]) == 10 and result["loss"].isfinite().all(), f"{name}: losses {result['loss']}")
    require({k.removeprefix("adapter.") for k in result if k.startswith("adapter.")} == saved.keys(), f"{name}: names of the saved tensors")
    for key, value in state.items():
        require(not torch.equal(result["step.10." + key], value), f"{name}: {key} did not move")
        if key not in stepping.ROUNDING_ONLY:
            require(result["grad.1." + key].abs().max() > 0, f"{name}: {key} has no gradient")


def check_padded_loss(case, folder, task, name):
    """The loss put together from single sequences is the one of the padded, masked batch."""
    own = folder / "batches.jsonl"
    batch = models.read_jsonl(own if own.exists() else case / "batches.jsonl")[0]["batch"]
    state = load_file(folder / "state.safetensors")
    base = models.load_base(case / "base", task)
    model = adapters.wrap(base, adapters.config_from_file(folder / "adapter" / "adapter_config.json")).eval()
    stepping.set_parameters(models.trainable(model), state)
    rows = [goldens.fitting(row, folder.name, task) for row in batch]
    inputs = {key: padded([row[key] for row in rows], -100 if key == "labels" else 0) for key in rows[0]}
    inputs["attention_mask"] = padded([[1] * len(row["input_ids"]) for row in rows], 0)
    together, single = model(**inputs).loss.item(), stepping.accumulate(model, task, batch)
    require(abs(together - single) <= 1e-5, f"{name}: padded loss {together}, by sequence {single}")


def padded(values, filler):
    if not isinstance(values[0], list):
        return torch.tensor(values)
    width = max(map(len, values))
    return torch.tensor([row + [filler] * (width - len(row)) for row in values])


def check_text(call, folder):
    """The commands that need a tokenizer or that goldens does not use."""
    base, data = folder / "text", folder / "text.tsv"
    call("make-base", str(base), "--task", "FEATURE_EXTRACTION", "--tokenizer")
    data.write_text("a good film\tpos\nnot good\tneg\nthe bad city\tneg\ngreat river\tpos\n")
    for method in [m for m in adapters.METHODS if adapters.runs(m, "SEQ_CLS")]:
        run = ["train", "--base", str(base), "--train", str(data), "--dev", str(data), "--format", "tsv", "--method", method]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            call(*run, "--lr", "0.01", "--epochs", "2", "--n", "3", "--batch-size", "3", "--out", str(folder / "trained" / method))
        require(0 <= json.loads(printed.getvalue().splitlines()[-1])["dev_accuracy"] <= 1, f"train {method}: no accuracy")
    call("init-stats", "--base", str(base), "--draws", "4", "--out", str(folder / "init.json"), "--num-labels", "3")
    sampled = json.loads((folder / "init.json").read_text())["prompt SAMPLE_VOCAB"]
    require(0 <= sampled["min"] <= sampled["max"] < sampled["rows"] == 128, f"sampled rows {sampled}")
    check_null_task(call, folder)


def check_null_task(call, folder):
    """With task_type null PEFT loads an adapter without a word, and it has no effect."""
    case, adapter = folder / "a" / "SEQ_CLS", folder / "null"
    model = ["--base", str(case / "base"), "--task", "null", "--architecture", "BertForSequenceClassification"]
    call("make-adapter", *model, "--method", "prompt", "--out", str(adapter))
    call("forward", *model, "--adapter", str(adapter), "--input", str(case / "input.jsonl"), "--output", str(folder / "null.jsonl"))
    require(models.read_jsonl(folder / "null.jsonl") == models.read_jsonl(case / "forward.jsonl"), "task null: the adapter has an effect")
