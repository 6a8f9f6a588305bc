"""Makes hfio/testdata with the official libraries.

    python compat_test/oracle/hfio_fixtures.py hfio/testdata

Everything is small and seeded; the README it writes states the versions. The
files are what the tests of hfio compare with: they are never made by gopeft.
"""

import hashlib
import json
import shutil
import struct
import sys
import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path

import huggingface_hub
import peft
import safetensors
import safetensors.torch
import torch
import transformers

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def save_safetensors(out):
    fresh(out)
    torch.manual_seed(1)
    floats = torch.randn(3, 4, dtype=torch.float64)
    floats[0, 0], floats[0, 1], floats[0, 2] = 5e-324, -0.0, float("inf")
    mixed = {
        "z.f64": floats,
        "a.f32": floats.float(),
        "half": (floats * 1e-7).half(),
        "brain": (floats * 1e-40).bfloat16(),
        "i64": torch.tensor([-(2**63), 2**63 - 1]),
        "i32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
        "i16": torch.tensor([[-(2**15)], [2**15 - 1]], dtype=torch.int16),
        "i8": torch.tensor([-128, 127, 0], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "u16": torch.tensor([0, 65535], dtype=torch.uint16),
        "u32": torch.tensor([0, 2**32 - 1], dtype=torch.uint32),
        "u64": torch.tensor([1, 2], dtype=torch.uint64),
        "bool": torch.tensor([True, False, True]),
        "c64": torch.tensor([1 + 2j], dtype=torch.complex64),
        "f8a": floats.to(torch.float8_e4m3fn),
        "f8b": floats.to(torch.float8_e5m2),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0),
        "empty.many": torch.zeros(3, 0, 7, dtype=torch.float16),
        "größe/\u4f60\u597d \U0001f600 \"quoted\" \\ <&> \u2028 \x7f \t\x01": torch.ones(1),
    }
    safetensors.torch.save_file(mixed, out / "mixed.safetensors", metadata={"format": "pt"})
    safetensors.torch.save_file({}, out / "nothing.safetensors")
    safetensors.torch.save_file({"w": torch.arange(6.0).reshape(2, 3)}, out / "plain.safetensors")
    safetensors.torch.save_file({"w": torch.ones(1)}, out / "odd_metadata.safetensors", metadata={"é\n\"": "<\u4f60>\b"})
    tied = torch.nn.Module()
    tied.first, tied.second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    tied.second.weight = tied.first.weight
    safetensors.torch.save_model(tied, out / "tied.safetensors")


def torch_values():
    torch.manual_seed(2)
    base = torch.randn(4, 6)
    tiny = torch.tensor([5e-324, -2.5e-310, -0.0, float("nan"), float("-inf")], dtype=torch.float64)
    square = torch.arange(16.0).reshape(4, 4)
    attribute = torch.ones(2)
    attribute.note = "kept by torch"
    nested = OrderedDict(inner=torch.tensor([1, 2, 3]), deeper={"leaf": torch.tensor(True)})
    return {
        "base": base,
        "transposed": base.t(),
        "row": base[1],
        "column": base[:, 2],
        "steps": base[::2, 1::2],
        "same": base,
        "permuted": torch.arange(24, dtype=torch.int16).reshape(2, 3, 4).permute(2, 0, 1),
        "expanded": torch.tensor([7.0]).expand(2, 3),
        "f64": tiny,
        "f16": torch.arange(0, 65536, 257, dtype=torch.int32).to(torch.int16).view(torch.float16),
        "bf16": torch.arange(0, 65536, 263, dtype=torch.int32).to(torch.int16).view(torch.bfloat16),
        "f16.t": square.half().t(),
        "i64": torch.tensor([-(2**63), 2**63 - 1]),
        "i32": torch.tensor([1, -2], dtype=torch.int32),
        "i8": torch.tensor([1, -2], dtype=torch.int8),
        "u8": torch.tensor([1, 254], dtype=torch.uint8),
        "bool": torch.tensor([[True], [False]]),
        "c64": torch.tensor([1 - 1j], dtype=torch.complex64),
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 5),
        "empty.t": torch.zeros(0, 5).t(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "buffer": torch.nn.Parameter(torch.arange(3), requires_grad=False),
        "nested": nested,
        "epoch": 3,
        "note": "not a tensor",
        "loss": 0.25,
        "none": None,
        "list": [1, (2, 3)],
        "big": 2**80,
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "set": {1, 2},
        "bytes": b"x",
        "bytearray": bytearray(b"y"),
        7: torch.tensor([7]),
        "attribute": attribute,
        "größe": torch.ones(1, 1, 1, 1, 2),
    }


def flatten(values, prefix=""):
    flat = {}
    for name, value in values.items():
        if isinstance(value, torch.Tensor):
            flat[prefix + str(name)] = value.detach().clone(memory_format=torch.contiguous_format)
        elif isinstance(value, dict):
            flat.update(flatten(value, prefix + str(name) + "."))
    return flat


def save_torch(out):
    fresh(out)
    values = torch_values()
    torch.save(values, out / "zip.bin")
    torch.save(values, out / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(values, out / "protocol4.bin", pickle_protocol=4)
    safetensors.torch.save_file(flatten(values), out / "values.safetensors")

    modern = {"f8": torch.ones(3).to(torch.float8_e4m3fn), "u16": torch.tensor([1, 65535], dtype=torch.uint16)}
    torch.save(modern, out / "untyped.bin")
    safetensors.torch.save_file(modern, out / "untyped.safetensors")

    torch.manual_seed(3)
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    torch.save(module.state_dict(), out / "state_dict.bin")
    safetensors.torch.save_file(module.state_dict(), out / "state_dict.safetensors")
    torch.save(module, out / "module.bin")

    # Written under the name that PEFT gives the file, since the name is inside of it.
    names = {
        "one": {"prompt_embeddings": torch.arange(12.0).reshape(3, 4)},
        "dtypes": {
            "prompt_embeddings": torch.ones(2, 3), "h": torch.ones(5).half(), "b": torch.ones(3).bfloat16(),
            "d": torch.ones(1).double(), "i": torch.arange(3), "i32": torch.arange(2, dtype=torch.int32),
            "i16": torch.arange(2, dtype=torch.int16), "i8": torch.arange(2, dtype=torch.int8),
            "u8": torch.arange(2, dtype=torch.uint8), "?": torch.tensor([True]),
            "c": torch.ones(1, dtype=torch.complex64), "scalar": torch.tensor(1.0), "none": torch.zeros(0),
            "none2": torch.zeros(2, 0, 3), "four": torch.ones(1, 2, 1, 2), "größe": torch.ones(300),
        },
        "digits": {"0": torch.ones(1), "a": torch.ones(2), "1": torch.ones(1), "a2": torch.ones(1), "\xe9": torch.ones(1), "\u4f60": torch.ones(1)},
        "wide": {"w": torch.zeros(0, 2**31, 2**7), "v": torch.zeros(300, 0, 65536, 2**31 - 1)},
        "nothing": {},
        "many": {f"layer.{i}.weight": torch.full((1,), float(i)) for i in range(1003)},
    }
    names["many"]["large"] = torch.zeros(70000, dtype=torch.uint8)
    for name, tensors in names.items():
        directory = fresh(out / "written" / name) if name != "many" else Path(tempfile.mkdtemp())
        torch.save(tensors, directory / "adapter_model.bin")
        if name == "many":  # 400 kB: its hash is enough
            digest = hashlib.sha256((directory / "adapter_model.bin").read_bytes()).hexdigest()
            (fresh(out / "written" / name) / "sha256").write_text(digest)


def bits_hash(tensor, width):
    kind = {2: torch.int16, 4: torch.int32, 8: torch.int64}[width]
    return hashlib.sha256(tensor.contiguous().view(kind).numpy().tobytes()).hexdigest()


def without_nan(tensor):
    return torch.where(torch.isnan(tensor), torch.zeros_like(tensor), tensor)


def save_floats(out):
    """Hashes of conversions; NaN, whose bits torch leaves open, is replaced by 0."""
    halves = torch.arange(65536, dtype=torch.int32).to(torch.int16)
    # 2^20 patterns over all of float32, and every neighbour of a half or bfloat16 tie.
    wide = ((torch.arange(1 << 20, dtype=torch.int64) * 4099 + 12345) % (1 << 32)).to(torch.int32)
    ties = torch.cat([(halves.to(torch.int64) * 65536 + d) % (1 << 32) for d in (0x7FFF, 0x8000, 0x8001)])
    half_ties = halves.view(torch.float16).float().view(torch.int32).to(torch.int64)
    half_ties = torch.cat([(half_ties + d) % (1 << 32) for d in (-0x1001, -0x1000, -0xFFF, 0xFFF, 0x1000, 0x1001)])
    patterns = torch.cat([wide, ties.to(torch.int32), half_ties.to(torch.int32)]).view(torch.float32)
    doubles = (torch.arange(1 << 18, dtype=torch.int64) * 0x9E3779B97F4A7C15).view(torch.float64)
    # Doubles just beside a tie of a half, where rounding twice differs from once.
    near = halves.view(torch.float16).double()
    near = torch.cat([doubles, near * (1 + 2.0**-11), near * (1 + 2.0**-11 + 2.0**-40), near * (1 + 2.0**-9 - 2.0**-45)])
    table = {
        "f16_to_f32": bits_hash(without_nan(halves.view(torch.float16).float()), 4),
        "bf16_to_f32": bits_hash(without_nan(halves.view(torch.bfloat16).float()), 4),
        "f16_to_bf16": bits_hash(without_nan(halves.view(torch.float16).bfloat16()), 2),
        "bf16_to_f16": bits_hash(without_nan(halves.view(torch.bfloat16).half()), 2),
        "f32_to_f16": bits_hash(without_nan(patterns.half()), 2),
        "f32_to_bf16": bits_hash(without_nan(patterns.bfloat16()), 2),
        "f32_to_f64": bits_hash(without_nan(patterns.double()), 8),
        "f64_to_f32": bits_hash(without_nan(near.float()), 4),
        "f64_to_f16": bits_hash(without_nan(near.half()), 2),
        "f64_to_bf16": bits_hash(without_nan(near.bfloat16()), 2),
    }
    (out / "floats.json").write_text(json.dumps(table, indent=2))


def save_json(out):
    fresh(out)
    numbers = [0.0, -0.0, 1.0, 16.0, 0.1, 1e-4, 1e-5, 9.999e-5, 1.5e-7, 1e15, 9999999999999998.0, 1e16, 1.5e16, 1e22, 1e100,
               5e-324, 1.7976931348623157e308, 0.30000000000000004, 123456789.123, float("inf"), float("-inf"), float("nan")]
    lines = [{"bits": struct.unpack("<Q", struct.pack("<d", f))[0], "text": json.dumps(f)} for f in numbers]
    (out / "floats.json").write_text(json.dumps(lines, indent=2))
    strange = {
        "b": [1, 2.5, [], {}, [[]], {"y": None, "x": [True, False]}], "B": "größe \u4f60\u597d \U0001f600 \u2028 \x7f",
        "a\"\\/\b\f\n\r\t\x00\x1f": "<&>'", "é": 1e-05, "\uffff": 12345678901234567890, "\U00010000": -1, "half": "\ud800x", "": float("inf"),
    }
    compact = json.dumps(strange, separators=(",", ":"), ensure_ascii=True)
    raw = json.dumps({k: v for k, v in strange.items() if k != "half"}, ensure_ascii=False, indent=7)
    (out / "strange_input.json").write_text(compact)
    (out / "strange.json").write_text(json.dumps(json.loads(compact), indent=2, sort_keys=True))
    (out / "raw_input.json").write_text(raw, encoding="utf-8")
    (out / "raw.json").write_text(json.dumps(json.loads(raw), indent=2, sort_keys=True))


def save_yaml(out):
    """What the model card's header holds for names of all kinds."""
    names = ["bert-base-uncased", "org/name", "/abs/path", "C:\\dir", "", "a b", " a", "a ", "a: b", "a:b", "a:", "a #b", "a#b", "#a", "- a", "-a", "-", "?", "? a", "?a",
             ":", ": a", ":a", "true", "Yes", "off", "null", "~", "Null", "123", "1e5", "1.5", "1_000", "0x1f", "0b1", "017", ".5", ".inf", ".nan", "-.inf", "12:30", "1:2.5",
             "2020-01-01", "2020-01-01 10:00:00", "<<", "=", "[a", "{a", "a,b", "&a", "*a", "!a", "|a", ">a", "'a", '"a', "%a", "@a", "`a", "a'b", 'a"b', "größe",
             "\u4f60", "\U0001f600", "a\tb", "\x01", "a\x7fb", "a\xa0b", "\ufeffa", "---", "...", "--- a", "a --- b", "a\\b", "x" * 200, "a b " * 60, "  ", "\u200b"]
    dump = huggingface_hub.utils.yaml_dump
    cases = [{"name": n, "yaml": dump({"base_model": n, "tags": ["base_model:adapter:" + n]}, sort_keys=False, line_break="\n").strip()} for n in names]
    (out / "yaml.json").write_text(json.dumps(cases, indent=1))


def save_labels(out):
    cases = []
    for values in (
        {}, {"num_labels": 3}, {"id2label": {"0": "no", "1": "yes"}}, {"id2label": {"1": "b", "0": "a", "2": "c"}},
        {"id2label": None, "num_labels": 1}, {"id2label": {"0": "x", "1": "y"}, "num_labels": 2}, {"id2label": {"0": "only"}},
        {"id2label": {"0": "x", "1": "y"}, "num_labels": 3}, {"num_labels": 0}, {"id2label": {}},
        {"label2id": {"x": 0, "y": 1, "z": 2}},
    ):
        config = transformers.BertConfig.from_dict(dict(values))
        names = [config.id2label[i] for i in range(len(config.id2label))]
        cases.append({"config": values, "labels": names})
    (out / "labels.json").write_text(json.dumps(cases, indent=1))


BERT = dict(vocab_size=11, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8, max_position_embeddings=16)
LLAMA = dict(vocab_size=11, hidden_size=8, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=8)
GPT2 = dict(vocab_size=11, n_embd=8, n_layer=2, n_head=2, n_positions=16)
T5 = dict(vocab_size=11, d_model=8, d_kv=4, d_ff=8, num_layers=2, num_heads=2)


def base(kind, task, dtype=torch.float32):
    t = transformers
    config, family = {"bert": (t.BertConfig(**BERT), "Bert"), "llama": (t.LlamaConfig(**LLAMA), "Llama"),
                      "gpt2": (t.GPT2Config(**GPT2), "GPT2"), "t5": (t.T5Config(**T5), "T5")}[kind]
    suffix = {"SEQ_CLS": "ForSequenceClassification", "TOKEN_CLS": "ForTokenClassification", "QUESTION_ANS": "ForQuestionAnswering",
              "FEATURE_EXTRACTION": "Model", "SEQ_2_SEQ_LM": "ForConditionalGeneration",
              "CAUSAL_LM": "LMHeadModel" if kind == "gpt2" else "ForCausalLM"}[task]
    torch.manual_seed(4)
    return getattr(t, family + suffix)(config).to(dtype)


def save_adapters(out):
    fresh(out)
    p = peft
    n = dict(num_virtual_tokens=3)
    cases = {
        "prompt_bert_seq_cls": ("bert", "SEQ_CLS", p.PromptTuningConfig, n, {}),
        "prompt_bert_token_cls": ("bert", "TOKEN_CLS", p.PromptTuningConfig, n, {}),
        "prompt_bert_question_ans": ("bert", "QUESTION_ANS", p.PromptTuningConfig, n, {}),
        "prompt_bert_features": ("bert", "FEATURE_EXTRACTION", p.PromptTuningConfig, n, {}),
        "prompt_bert_bfloat16": ("bert", "SEQ_CLS", p.PromptTuningConfig, n, dict(dtype=torch.bfloat16)),
        "prompt_bert_bin": ("bert", "SEQ_CLS", p.PromptTuningConfig, n, dict(bin=True)),
        "prompt_bert_odd_name": ("bert", "SEQ_CLS", p.PromptTuningConfig, dict(n, revision="größe"), dict(name="org/größe \"x\": 'y' #z")),
        "prompt_bert_no_name": ("bert", "SEQ_CLS", p.PromptTuningConfig, n, dict(name="")),
        "prompt_gpt2_causal": ("gpt2", "CAUSAL_LM", p.PromptTuningConfig, n, {}),
        "prompt_llama_causal": ("llama", "CAUSAL_LM", p.PromptTuningConfig, n, {}),
        "prompt_t5": ("t5", "SEQ_2_SEQ_LM", p.PromptTuningConfig, n, {}),
        "ptuning_bert_mlp": ("bert", "SEQ_CLS", p.PromptEncoderConfig, dict(n, encoder_hidden_size=5), {}),
        "ptuning_bert_lstm": ("bert", "SEQ_CLS", p.PromptEncoderConfig,
                              dict(n, encoder_reparameterization_type="LSTM", encoder_dropout=0.1, encoder_num_layers=2), {}),
        "prefix_bert": ("bert", "SEQ_CLS", p.PrefixTuningConfig, n, {}),
        "prefix_bert_projection": ("bert", "TOKEN_CLS", p.PrefixTuningConfig, dict(n, prefix_projection=True, encoder_hidden_size=5), {}),
        "prefix_bert_zero": ("bert", "FEATURE_EXTRACTION", p.PrefixTuningConfig, dict(n, init_weights="zero"), {}),
        "prefix_llama_causal": ("llama", "CAUSAL_LM", p.PrefixTuningConfig, n, {}),
        "multitask_gpt2": ("gpt2", "CAUSAL_LM", p.MultitaskPromptTuningConfig, dict(n, num_tasks=2), {}),
        "cpt_gpt2": ("gpt2", "CAUSAL_LM", p.CPTConfig, dict(cpt_token_ids=[1, 2], cpt_mask=[1, 1], cpt_tokens_type_mask=[1, 2]), {}),
        "cartridge_gpt2": ("gpt2", "CAUSAL_LM", p.CartridgeConfig, n, {}),
        "lora_bert": ("bert", "SEQ_CLS", p.LoraConfig, dict(r=2, lora_alpha=16, target_modules=["query"]), {}),
    }
    for name, (kind, task, config, options, extra) in cases.items():
        model = base(kind, task, extra.get("dtype", torch.float32))
        model.config._name_or_path = model.name_or_path = extra.get("name", "tiny/" + kind)
        torch.manual_seed(5)
        wrapped = peft.get_peft_model(model, config(task_type=task, **options), revision=options.get("revision"))
        wrapped.save_pretrained(out / name, safe_serialization=not extra.get("bin"))


# What older versions of PEFT wrote: the keys that their dataclasses had.
OLD = {
    "prompt_0.1": dict(base_model_name_or_path="bert", inference_mode=True, num_attention_heads=2, num_layers=2,
                       num_transformer_submodules=1, num_virtual_tokens=3, peft_type="PROMPT_TUNING", prompt_tuning_init="RANDOM",
                       prompt_tuning_init_text=None, task_type="SEQ_CLS", token_dim=8, tokenizer_name_or_path=None),
    "prefix_0.3": dict(base_model_name_or_path="bert", encoder_hidden_size=8, inference_mode=True, num_attention_heads=2, num_layers=2,
                       num_transformer_submodules=1, num_virtual_tokens=3, peft_type="PREFIX_TUNING", prefix_projection=False,
                       task_type="SEQ_CLS", token_dim=8),
    "ptuning_0.5": dict(auto_mapping=None, base_model_name_or_path="bert", encoder_dropout=0.0, encoder_hidden_size=8, encoder_num_layers=2,
                        encoder_reparameterization_type="MLP", inference_mode=True, num_attention_heads=2, num_layers=2,
                        num_transformer_submodules=1, num_virtual_tokens=3, peft_type="P_TUNING", revision=None, task_type="SEQ_CLS", token_dim=8),
    "smallest": dict(num_virtual_tokens=3, peft_type="PROMPT_TUNING", task_type="SEQ_CLS"),
    "smallest_ptuning": dict(num_virtual_tokens=3, peft_type="P_TUNING", task_type="SEQ_CLS"),
    "smallest_multitask": dict(num_virtual_tokens=3, peft_type="MULTITASK_PROMPT_TUNING", task_type="CAUSAL_LM"),
    "smallest_cartridge": dict(num_virtual_tokens=3, peft_type="CARTRIDGE", task_type="CAUSAL_LM"),
}


def save_old_configs(out):
    fresh(out)
    for name, values in OLD.items():
        directory = fresh(out / name)
        (directory / "adapter_config.json").write_text(json.dumps(values, indent=2, sort_keys=True))
        loaded = peft.PeftConfig.from_pretrained(str(directory)).to_dict()
        loaded.pop("peft_version", None)  # filled in with the reader's own version
        loaded = {k: (v.value if hasattr(v, "value") else v) for k, v in loaded.items()}
        (directory / "loaded.json").write_text(json.dumps(loaded, indent=2, sort_keys=True))


def save_models(out):
    fresh(out)
    model = base("bert", "SEQ_CLS")
    model.save_pretrained(out / "single")
    model.save_pretrained(out / "sharded", max_shard_size="2KB")
    torch_dir = fresh(out / "torch")
    shutil.copy(out / "single" / "config.json", torch_dir)
    torch.save(model.state_dict(), torch_dir / "pytorch_model.bin")


def save_model_card(out):
    """The body of the card that PEFT writes: huggingface_hub's default template, nothing filled in."""
    text = (out / "adapters" / "prompt_bert_seq_cls" / "README.md").read_text()
    body = text.split("\n---\n", 1)[1]
    (out.parent / "modelcard.md").write_text(body)


def seed(out, target, name, data):
    """Writes a seed in the corpus format of Go's fuzzing."""
    directory = out / "fuzz" / target
    directory.mkdir(parents=True, exist_ok=True)
    text = "".join(chr(b) if 0x20 <= b < 0x7F and b not in b'"\\' else f"\\x{b:02x}" for b in data)
    (directory / name).write_text(f'go test fuzz v1\n[]byte("{text}")\n')


def save_seeds(out):
    def header(text, size=0, length=None):
        return struct.pack("<Q", len(text) if length is None else length) + text.encode() + bytes(size)

    entry = '"%s":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}'
    safe = {
        "plain": (out / "safetensors" / "plain.safetensors").read_bytes(),
        "mixed": (out / "safetensors" / "mixed.safetensors").read_bytes(),
        "metadata": (out / "safetensors" / "odd_metadata.safetensors").read_bytes(),
        "nothing": (out / "safetensors" / "nothing.safetensors").read_bytes(),
        "zero_size": header("{" + entry % ("a", "F32", "[0,9223372036854775807]", 0, 0) + "," + entry % ("b", "U8", "[1]", 0, 1) + "}", 1),
        "scalar": header("{" + entry % ("a", "F64", "[]", 0, 8) + "}", 8),
        "near_2_63": header("{" + entry % ("a", "U8", "[9223372036854775807,2]", 0, 0) + "}"),
        "length_2_63": header("{}", 0, 2**63 - 1),
        "length_2_64": header("{}", 0, 2**64 - 8),
        "offsets_2_63": header('{"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775807,9223372036854775808]}}', 1),
        "overlap": header("{" + entry % ("a", "U8", "[2]", 0, 2) + "," + entry % ("b", "U8", "[2]", 1, 3) + "}", 3),
        "duplicate": header("{" + entry % ("a", "U8", "[1]", 0, 1) + "," + entry % ("a", "U8", "[1]", 1, 2) + "}", 2),
        "deep": header('{"a":{"x":' + "[" * 300 + "]" * 300 + "}}"),
        "half_byte": header("{" + entry % ("a", "F4", "[2]", 0, 1) + "}", 1),
        "short": b"\x02\x00",
    }
    small = Path(tempfile.mkdtemp())
    values = {"w": torch.arange(6.0).reshape(2, 3).t(), "h": torch.ones(1).half(), "n": OrderedDict(e=torch.zeros(0)), "i": 2**70}
    torch.save(values, small / "legacy", _use_new_zipfile_serialization=False)
    torch.save(values, small / "protocol5", pickle_protocol=5)
    torch.save({"p": torch.nn.Parameter(torch.ones(2)), "e": torch.ones(1).expand(3)}, small / "zip")
    torch_seeds = {
        **{name: (small / name).read_bytes() for name in ("legacy", "protocol5", "zip")},
        "untyped": (out / "torch" / "untyped.bin").read_bytes(),
        "system": b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        "bytes_2_63": b"\x80\x02\x8e" + struct.pack("<Q", 2**63 - 1) + b".",
        "zeros": bytes(64),
        "zip_only": b"PK\x03\x04",
    }
    config = {
        "bert": (out / "models" / "single" / "config.json").read_bytes(),
        "strange": (out / "json" / "strange_input.json").read_bytes(),
        "labels": b'{"id2label":{"0":"a","2":"b"},"num_labels":99999999999}',
        "deep": b'{"a":' * 200 + b"1" + b"}" * 200,
        "infinity": b'{"time_step_limit":[0.0,Infinity,-Infinity,NaN],"x":1e999}',
        "big": b'{"hidden_size":9223372036854775808,"n":-9223372036854775809}',
        "surrogates": b'{"\\ud83d\\ude00":"\\ude00\\ud83d"}',
        "twice": b'{"a":1,"a":[]}',
    }
    adapter = {d.name: (d / "adapter_config.json").read_bytes() for d in sorted((out / "adapters").iterdir())
               if d.name.split("_")[0] in ("cpt", "cartridge", "multitask", "lora", "prefix", "ptuning")}
    adapter |= {
        "wrong_types": b'{"peft_type":"P_TUNING","num_virtual_tokens":"3","encoder_dropout":null,"token_dim":1e3,"modules_to_save":[1]}',
        "unknown": b'{"peft_type":"NEW_METHOD","x":{"b":1.50,"a":[{}]}}',
        "literals": b'{"peft_type":"P_TUNING","encoder_dropout":1E-1,"num_layers":0,"token_dim":9223372036854775807}',
        "twice": b'{"peft_type":"LORA","peft_type":"CPT","r":1,"r":2}',
        "deep": b'{"peft_type":"X","a":' + b"[" * 200 + b"]" * 200 + b"}",
    }
    index = {
        "real": (out / "models" / "sharded" / "model.safetensors.index.json").read_bytes(),
        "outside": b'{"weight_map":{"w":"../x","v":"/x","u":"a/../b","t":"","s":"a//b"}}',
        "twice": b'{"weight_map":{"w":"a","w":"b"}}',
        "wrong": b'{"metadata":[],"weight_map":{"w":1,"v":null,"u":{}}}',
        "deep": b'{"weight_map":' * 200 + b"1" + b"}" * 200,
    }
    targets = {"SafeTensors": safe, "Torch": torch_seeds, "ModelConfig": config, "AdapterConfig": adapter, "Index": index}
    for target, seeds in targets.items():
        fresh(out / "fuzz" / ("Fuzz" + target))
        for name, data in seeds.items():
            seed(out, "Fuzz" + target, name, data)


README = """# Fixtures of hfio

Made by compat_test/oracle/hfio_fixtures.py, never by gopeft, with
{versions}.

- safetensors: files of safetensors.torch.save_file and save_model.
- torch: files of torch.save in both layouts, with the same values as safetensors (legacy.bin differs in each run: its keys are addresses); written: what EncodeTorch must equal.
- floats.json: SHA-256 of float conversions by torch (NaN replaced by 0; the patterns are in the script).
- json: what Python's json.dumps makes of odd values. labels.json: id2label by transformers.
- yaml.json: headers of model cards by huggingface_hub.
- adapters: directories of PEFT's save_pretrained. old_configs: configs with the keys of older versions, and what PEFT loads them as.
- fuzz: seeds of the fuzz targets, from the files above and by hand.
- models: tiny BERT checkpoints, whole, in shards and as torch file.
"""


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    save_safetensors(out / "safetensors")
    save_torch(out / "torch")
    save_floats(out)
    save_json(out / "json")
    save_labels(out)
    save_yaml(out)
    save_adapters(out / "adapters")
    save_model_card(out)
    save_old_configs(out / "old_configs")
    save_models(out / "models")
    save_seeds(out)
    versions = ", ".join(f"{m.__name__} {m.__version__}" for m in (peft, transformers, torch, safetensors, huggingface_hub))
    (out / "README.md").write_text(README.format(versions=versions))


if __name__ == "__main__":
    main()
