"""Makes hfio/testdata/gguf with the Python package gguf and transformers.

    python compat_test/oracle/gguf_fixtures.py hfio/testdata

Tiny random models of transformers are written the way llama.cpp's convert_hf_to_gguf.py
does; what transformers reads of the files is what hfio must read: for each tensor its
shape and the hash of its float32 values. Where transformers does not read an
architecture, and for the config, the model itself is the witness.
"""

import hashlib
import json
import sys
import tempfile
import warnings
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Q
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from hfio_fixtures import fresh, seed

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()

ROTARY = dict(vocab_size=24, hidden_size=16, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24,
              max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=None)
WIDE = dict(ROTARY, hidden_size=64, intermediate_size=64, head_dim=32, num_attention_heads=2, num_key_value_heads=1)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
LONG = dict(rope_type="longrope", rope_theta=10000.0, long_factor=[1.5, 4.0], short_factor=[1.0, 1.25])
T = transformers

# How llama.cpp stores the matrices in files of several types: most of them, and the others; rows that are not whole blocks of 256 elements.
LARGER = dict(output=Q.Q6_K, attn_v=Q.Q6_K, ffn_down=Q.Q6_K)
MIXTURES = {
    gguf.LlamaFileType.MOSTLY_Q2_K: (Q.Q2_K, dict(output=Q.Q6_K, attn_v=Q.Q3_K, ffn_down=Q.Q3_K, attn_output=Q.Q3_K)),
    gguf.LlamaFileType.MOSTLY_Q3_K_M: (Q.Q3_K, dict(output=Q.Q6_K, attn_v=Q.Q5_K, ffn_down=Q.Q4_K, attn_output=Q.Q4_K)),
    gguf.LlamaFileType.MOSTLY_Q4_K_M: (Q.Q4_K, LARGER),
    gguf.LlamaFileType.MOSTLY_Q5_K_M: (Q.Q5_K, LARGER),
}
SHORT_ROWS = {Q.Q2_K: Q.IQ4_NL, Q.Q3_K: Q.IQ4_NL, Q.Q4_K: Q.Q5_0, Q.Q5_K: Q.Q5_1, Q.Q6_K: Q.Q8_0}
BLOCKS = dict(WIDE, hidden_size=256, intermediate_size=32)

# name: architecture of gguf, config, how the matrices are stored
CASES = {
    "llama": ("llama", T.LlamaConfig(**dict(ROTARY, num_hidden_layers=2), head_dim=4, rope_parameters=dict(rope_type="default", rope_theta=50000.0)), Q.F32),
    "llama-f16": ("llama", T.LlamaConfig(**ROTARY, tie_word_embeddings=True), Q.F16),
    "llama-bf16": ("llama", T.LlamaConfig(**ROTARY, attention_bias=True, mlp_bias=True), Q.BF16),
    "llama-q8_0": ("llama", T.LlamaConfig(**WIDE), Q.Q8_0),
    "llama-q4_0": ("llama", T.LlamaConfig(**WIDE), Q.Q4_0),
    "llama-q4_1": ("llama", T.LlamaConfig(**WIDE), Q.Q4_1),
    "llama-q2_k": ("llama", T.LlamaConfig(**dict(WIDE, hidden_size=256, intermediate_size=256, head_dim=128)), gguf.LlamaFileType.MOSTLY_Q2_K),
    "llama-q2_k-short": ("llama", T.LlamaConfig(**WIDE), gguf.LlamaFileType.MOSTLY_Q2_K),
    "llama-q3_k_m": ("llama", T.LlamaConfig(**BLOCKS), gguf.LlamaFileType.MOSTLY_Q3_K_M),
    "llama-q4_k_m": ("llama", T.LlamaConfig(**BLOCKS), gguf.LlamaFileType.MOSTLY_Q4_K_M),
    "llama-q5_k_m": ("llama", T.LlamaConfig(**BLOCKS), gguf.LlamaFileType.MOSTLY_Q5_K_M),
    "llama3": ("llama", T.LlamaConfig(**dict(ROTARY, head_dim=32, num_attention_heads=1, num_key_value_heads=1), rope_parameters=LLAMA3), Q.F32),
    "llama-linear": ("llama", T.LlamaConfig(**ROTARY, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)), Q.F32),
    "qwen2": ("qwen2", T.Qwen2Config(**ROTARY, rope_parameters=dict(rope_type="yarn", rope_theta=1e6, factor=4.0, original_max_position_embeddings=16)), Q.F32),
    "qwen3": ("qwen3", T.Qwen3Config(**ROTARY, head_dim=8), Q.F32),
    "phi3": ("phi3", T.Phi3Config(**dict(ROTARY, original_max_position_embeddings=16), sliding_window=32, rope_parameters=LONG), Q.F32),
    "gemma": ("gemma", T.GemmaConfig(**ROTARY, head_dim=8), Q.F32),
    "gemma2": ("gemma2", T.Gemma2Config(**ROTARY, head_dim=8, query_pre_attn_scalar=8, sliding_window=8, final_logit_softcapping=20.0), Q.F32),
    "gemma3": ("gemma3", T.Gemma3TextConfig(**ROTARY, head_dim=8, query_pre_attn_scalar=8, sliding_window=8), Q.F32),
    "gpt2": ("gpt2", T.GPT2Config(vocab_size=24, n_embd=16, n_layer=2, n_head=2, n_positions=32, n_inner=24, bos_token_id=0, eos_token_id=0), Q.F32),
    "gpt2-q8_0": ("gpt2", T.GPT2Config(vocab_size=24, n_embd=32, n_layer=1, n_head=2, n_positions=32, n_inner=32, bos_token_id=0, eos_token_id=0), Q.Q8_0),
    "bloom": ("bloom", T.BloomConfig(vocab_size=24, hidden_size=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2), Q.F32),
}


def permute(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def bloom_parts(w, heads):
    parts = w.reshape(heads, 3, w.shape[0] // heads // 3, *w.shape[1:])
    return np.concatenate([parts[:, i].reshape(-1, *w.shape[1:]) for i in range(3)])


def stored(arch, config, name, values):
    """What convert_hf_to_gguf.py makes of a tensor."""
    if arch == "llama" and ".q_proj." in name:
        return permute(values, config.num_attention_heads)
    if arch == "llama" and ".k_proj." in name:
        return permute(values, config.num_key_value_heads)
    if arch.startswith("gemma") and name.endswith("norm.weight"):
        return values + 1
    if arch == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return values.T
    if arch == "bloom" and ".query_key_value." in name:
        return bloom_parts(values, config.n_head)
    return values


def write_config(w, arch, c):
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(getattr(c, "max_position_embeddings", 2048))
    w.add_embedding_length(c.hidden_size)
    w.add_head_count(c.num_attention_heads)
    for key in ("bos", "eos"):
        getattr(w, f"add_{key}_token_id")(getattr(c, key + "_token_id"))
    if arch in ("gpt2", "bloom"):
        w.add_feed_forward_length(getattr(c, "n_inner", None) or 4 * c.hidden_size)
        w.add_layer_norm_eps(c.layer_norm_epsilon)
        return
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_vocab_size(c.vocab_size)
    head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    w.add_rope_dimension_count(head)
    if head * c.num_attention_heads != c.hidden_size:
        w.add_key_length(head)
        w.add_value_length(head)
    write_rope(w, arch, c)
    if arch == "gemma2":
        w.add_attn_logit_softcapping(c.attn_logit_softcapping)
        w.add_final_logit_softcapping(c.final_logit_softcapping)
    if arch in ("gemma2", "gemma3", "phi3"):
        w.add_sliding_window(c.sliding_window)


def write_rope(w, arch, c):
    rope = c.rope_parameters
    if arch == "gemma3":
        w.add_rope_freq_base(rope["full_attention"]["rope_theta"])
        return
    w.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        w.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope["rope_type"] == "longrope":
        w.add_rope_scaling_orig_ctx_len(c.original_max_position_embeddings)
        w.add_rope_scaling_attn_factors(1.19)
        w.add_tensor("rope_factors_long.weight", np.array(rope["long_factor"], np.float32))
        w.add_tensor("rope_factors_short.weight", np.array(rope["short_factor"], np.float32))
    if rope["rope_type"] == "llama3":
        frequencies, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](c, torch.device("cpu"))
        plain = rope["rope_theta"] ** -(torch.arange(0, c.head_dim, 2).float() / c.head_dim)
        w.add_tensor("rope_freqs.weight", (plain / frequencies).numpy())


def quantize_q2_k(x):
    """Blocks of 256: 16 times 16 numbers of 2 bits, with scales and minima of 4 bits. gguf itself only reads them."""
    x = x.reshape(-1, 16, 16)
    least = np.maximum(-x.min(-1), 0)
    step = (x.max(-1) + least) / 3
    d, dmin = ((v.max(-1, keepdims=True) / 15).astype(np.float16) for v in (step, least))
    scale, minimum = (np.clip(np.rint(v / of.astype(np.float32)), 0, 15) for v, of in ((step, d), (least, dmin)))
    q = np.clip(np.rint((x + (dmin * minimum)[..., None]) / (d * np.maximum(scale, 1))[..., None]), 0, 3)
    scales = scale.astype(np.uint8) | minimum.astype(np.uint8) << 4
    return np.concatenate([scales, pairs_of_bits(q), d.view(np.uint8), dmin.view(np.uint8)], axis=-1)


def quantize_q3_k(x):
    """Blocks of 256: 16 times 16 numbers of 3 bits, with scales of 6 bits. gguf itself only reads them."""
    x = x.reshape(-1, 16, 16)
    step = np.abs(x).max(-1) / 4
    d = (step.max(-1, keepdims=True) / 31).astype(np.float16)
    scale = np.clip(np.rint(step / d.astype(np.float32)), 1, 31)
    q = np.clip(np.rint(x / (d * scale)[..., None]), -4, 3) + 4
    third = np.bitwise_or.reduce([q.astype(np.uint8).reshape(-1, 8, 32)[:, i] >> 2 << i for i in range(8)])
    s = scale.astype(np.uint8) + 32
    scales = [s[:, :8] & 15 | s[:, 8:] << 4, np.bitwise_or.reduce([s[:, 4 * i :][:, :4] >> 4 << 2 * i for i in range(4)])]
    return np.concatenate([third, pairs_of_bits(q), *scales, d.view(np.uint8)], axis=-1)


def pairs_of_bits(q):
    q = q.astype(np.uint8).reshape(-1, 2, 4, 32) & 3
    return np.bitwise_or.reduce([q[:, :, i] << 2 * i for i in range(4)]).reshape(-1, 64)


def quantize_q4_k(x, bits=4):
    """Blocks of 256: 8 times 32 numbers of 4 bits or 5, with scales and minima of 6 bits. gguf itself only reads them."""
    x = x.reshape(-1, 8, 32)
    least = np.maximum(-x.min(-1), 0)
    step = (x.max(-1) + least) / (2**bits - 1)
    d, dmin = ((v.max(-1, keepdims=True) / 63).astype(np.float16) for v in (step, least))
    scale, minimum = (np.clip(np.rint(v / of.astype(np.float32)), 0, 63) for v, of in ((step, d), (least, dmin)))
    q = np.clip(np.rint((x + (dmin * minimum)[..., None]) / (d * np.maximum(scale, 1))[..., None]), 0, 2**bits - 1)
    q, s, m = q.astype(np.uint8), scale.astype(np.uint8), minimum.astype(np.uint8)
    packed = [v[:, :4] | v[:, 4:] >> 4 << 6 for v in (s, m)] + [s[:, 4:] & 15 | m[:, 4:] << 4]
    if bits == 5:
        packed.append(np.bitwise_or.reduce([q[:, i] >> 4 << i for i in range(8)]))
    low = (q[:, 0::2] & 15 | q[:, 1::2] << 4).reshape(-1, 128)
    return np.concatenate([d.view(np.uint8), dmin.view(np.uint8), *packed, low], axis=-1)


def quantize_q5_k(x):
    return quantize_q4_k(x, 5)


def quantize_q6_k(x):
    """Blocks of 256: 16 times 16 numbers of 6 bits, with scales of 8 bits. gguf itself only reads them."""
    x = x.reshape(-1, 16, 16)
    step = np.abs(x).max(-1) / 31
    d = (step.max(-1, keepdims=True) / 127).astype(np.float16)
    scale = np.rint(step / d.astype(np.float32))
    q = np.clip(np.rint(x / (d * np.maximum(scale, 1))[..., None]), -32, 31) + 32
    q = q.astype(np.uint8).reshape(-1, 2, 4, 32)
    low = (q[:, :, :2] & 15 | q[:, :, 2:] << 4).reshape(-1, 128)
    high = np.bitwise_or.reduce([q[:, :, i] >> 4 << 2 * i for i in range(4)]).reshape(-1, 64)
    return np.concatenate([low, high, scale.astype(np.int8).view(np.uint8), d.view(np.uint8)], axis=-1)


UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)


def quantize_iq4_nl(x):
    """Blocks of 32 numbers of 4 bits, which stand for uneven values. gguf itself only reads them."""
    x = x.reshape(-1, 32)
    d = (np.abs(x).max(-1, keepdims=True) / 113).astype(np.float16)
    q = np.abs((x / d)[..., None] - UNEVEN).argmin(-1).astype(np.uint8)
    return np.concatenate([d.view(np.uint8), q[:, :16] | q[:, 16:] << 4], axis=-1)


def type_in_file(kind, name, columns):
    """The type of a matrix: that of all, or what llama.cpp gives it in a file of several types."""
    if kind not in MIXTURES:
        return kind
    most, others = MIXTURES[kind]
    kind = others.get(name.split(".")[-2], most)
    return SHORT_ROWS[kind] if columns % 256 != 0 else kind


def quantize(values, kind):
    own = {Q.Q2_K: quantize_q2_k, Q.Q3_K: quantize_q3_k, Q.Q4_K: quantize_q4_k, Q.Q5_K: quantize_q5_k, Q.Q6_K: quantize_q6_k, Q.IQ4_NL: quantize_iq4_nl}
    return own[kind](values).reshape(len(values), -1) if kind in own else gguf.quantize(values, kind)


def write_model(path, arch, model, kind):
    c = model.config
    w = gguf.GGUFWriter(path, arch)
    w.add_name("a tiny model of transformers")
    write_config(w, arch, c)
    names = gguf.get_tensor_name_map(next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch), c.num_hidden_layers)
    tied = c.tie_word_embeddings and arch != "bloom"
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        values = np.ascontiguousarray(stored(arch, c, name, tensor.float().numpy()))
        target = next(filter(None, (names.get_name(n, try_suffixes=(".weight", ".bias")) for n in (name, name.removeprefix("transformer.")))))
        if values.ndim == 1 or kind == Q.F32:
            w.add_tensor(target, values)
        else:
            stored_as = type_in_file(kind, target, values.shape[1])
            w.add_tensor(target, quantize(values, stored_as), raw_dtype=stored_as)
    for write in (w.write_header_to_file, w.write_kv_data_to_file, w.write_tensors_to_file, w.close):
        write()


def digest(values):
    return hashlib.sha256(np.ascontiguousarray(values, np.float32).tobytes()).hexdigest()


def expected(path, arch, model, kind):
    want = {name: t.float().numpy() for name, t in model.state_dict().items()}
    if model.config.tie_word_embeddings and arch != "bloom":
        want.pop("lm_head.weight")
    if arch == "gemma":  # transformers reads no GGUF of it; the 1 is added and taken away as in gemma2
        return {name: (v + 1) - 1 if name.endswith("norm.weight") else v for name, v in want.items()}
    loaded = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=model)
    assert loaded["tensors"].keys() == want.keys(), loaded["tensors"].keys() ^ want.keys()
    for name, t in loaded["tensors"].items():
        bound = {Q.F32: 1e-6, Q.F16: 1e-3, Q.BF16: 1e-2}.get(kind, 0.3)
        assert np.abs(t.float().numpy() - want[name]).max() <= bound, name
    return {name: t.float().numpy() for name, t in loaded["tensors"].items()}


def save_models(out):
    for name, (arch, config, kind) in CASES.items():
        torch.manual_seed(6)
        model = T.AutoModelForCausalLM.from_config(config).eval()
        spread = 0.2 * min(1, 64 / config.hidden_size) ** 0.5  # wide models of larger numbers would multiply what is rounded
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.randn_like(p) * spread + (p.ndim == 1))
        directory = fresh(out / name)
        path = directory / "model.gguf"
        write_model(path, arch, model, kind)
        tensors = {n: {"shape": list(v.shape), "sha256": digest(v)} for n, v in sorted(expected(path, arch, model, kind).items())}
        want = dict(config.to_dict(), architectures=[type(model).__name__])
        (directory / "expected.json").write_text(json.dumps({"config": want, "tensors": tensors}, sort_keys=True))


def save_types(out):
    """Blocks of random bits; what they mean says gguf.dequantize."""
    rng = np.random.default_rng(7)
    w = gguf.GGUFWriter(out / "types.gguf", "llama")
    want = {}
    for kind in (Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q4_K, Q.Q6_K, Q.Q5_0, Q.Q5_1, Q.Q5_K, Q.Q2_K, Q.Q3_K, Q.IQ4_NL, Q.IQ4_XS):
        block, size = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 256, (2, 512 // block, size), np.uint8)
        for at in {Q.F32: [3], Q.Q4_1: [1, 3], Q.Q5_1: [1, 3], Q.Q4_K: [1, 3], Q.Q5_K: [1, 3], Q.Q2_K: [81, 83], Q.Q3_K: [109], Q.Q6_K: [209]}.get(kind, [1]):
            data[:, :, at] &= 0xBF  # no infinities and no NaN
        w.add_tensor(kind.name, data.reshape(2, -1), raw_dtype=kind)
        want[kind.name] = digest(gguf.dequantize(data.reshape(2, -1), kind))
    w.add_custom_alignment(64)
    w.add_array("a.strings", ["x", "größe", ""])
    w.add_array("a.floats", [0.5, -2.0])
    w.add_array("a.integers", [-1, 2])
    w.add_array("a.truths", [True, False])
    for kind, value in {"uint8": 255, "int8": -128, "uint16": 65535, "int16": -32768, "uint32": 2**32 - 1, "int32": -(2**31),
                        "uint64": 2**63 - 1, "int64": -(2**63), "float32": 0.1, "float64": 0.1, "bool": True}.items():
        getattr(w, "add_" + kind)("a." + kind, value)
    for write in (w.write_header_to_file, w.write_kv_data_to_file, w.write_tensors_to_file, w.close):
        write()
    (out / "types.json").write_text(json.dumps(want, indent=1))


LLAMA_TOKENS = ["<unk>", "<s>", "</s>", "<0x41>", "\u2581", "a", "b", "c", "\u2581a", "\u2581ab", "ab", "bc", "abc", "  "]
GEMMA_TOKENS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", " ", "  ", "   ", "a", "b", "ab", "\u2581a", "\u2581ab", "<unused0>", "<0x41>"]
BYTE_TOKENS = ["a", "b", "ab", "<|endoftext|>", "<|x|>", "2", "1", "12", "\u4f60", "<think>"]
BLOOM_SPLIT = " ?[^(\\s|[.,!?…。，、।۔،])]+"
TOKENIZERS = {
    # name: architecture, model, pre, tokens, types, scores, merges, flags
    "llama": ("llama", "llama", None, LLAMA_TOKENS, [2, 3, 3, 6] + [1] * 9 + [4], [0.0] * 4 + [-4, -9, -8, -7, -1, -3, -2, -2, -5, -6], None, {}),
    "gemma": ("gemma2", "llama", None, GEMMA_TOKENS, [3, 3, 3, 2, 3] + [1] * 8 + [4, 6], [0.0] * 15, None, dict(add_bos_token=True)),
    "phi3": ("phi3", "llama", None, LLAMA_TOKENS, [2, 3, 3, 6] + [1] * 9 + [4], [-float(i) for i in range(14)], None, dict(add_bos_token=False)),
    "gpt-2": ("gpt2", "gpt2", "gpt-2", BYTE_TOKENS, [1, 1, 1, 3, 3, 1, 1, 1, 1, 4], None, ["a b", "1 2"], {}),
    "llama-bpe": ("llama", "gpt2", "llama-bpe", BYTE_TOKENS, [1, 1, 1, 3, 3, 1, 1, 1, 1, 4], None, ["a b"], dict(add_bos_token=True, add_eos_token=True)),
    "qwen2": ("qwen2", "gpt2", "qwen2", BYTE_TOKENS, [1, 1, 1, 3, 3, 1, 1, 1, 1, 4], None, ["a b"], {}),
    "nemo": ("llama", "gpt2", "tekken", BYTE_TOKENS, [1, 1, 1, 3, 3, 1, 1, 1, 1, 4], None, ["a b"], {}),
    "phi-4": ("phi3", "gpt2", "dbrx", BYTE_TOKENS, [1, 1, 1, 3, 3, 1, 1, 1, 1, 4], None, ["a b"], {}),
    "phi-4-mini": ("phi3", "gpt2", "gpt-4o", BYTE_TOKENS, [1, 1, 1, 3, 3, 1, 1, 1, 1, 4], None, ["a b"], {}),
    "smollm": ("llama", "gpt2", "smollm", BYTE_TOKENS, [1, 1, 1, 3, 3, 1, 1, 1, 1, 4], None, ["a b"], {}),
    "bloom": ("bloom", "gpt2", "bloom", BYTE_TOKENS, [1, 1, 1, 3, 3, 1, 1, 1, 1, 4], None, ["a b"], {}),
}


def save_tokenizers(out):
    """Files with a tokenizer and no tensors, and the tokenizer.json that transformers makes of them."""
    fresh(out)
    for name, (arch, model, pre, tokens, types, scores, merges, flags) in TOKENIZERS.items():
        path = out / (name + ".gguf")
        w = gguf.GGUFWriter(path, arch)
        w.add_tokenizer_model(model)
        w.add_token_list(tokens)
        w.add_token_types(types)
        if pre:
            w.add_tokenizer_pre(pre)
        if scores:
            w.add_token_scores([float(s) for s in scores])
        if merges:
            w.add_token_merges(merges)
        first = 3 if model == "gpt2" else 1
        w.add_bos_token_id(first + (arch != "llama" and model == "llama"))
        w.add_eos_token_id(first + (arch == "llama" or model == "gpt2"))
        for flag, value in flags.items():
            getattr(w, "add_" + flag)(value)
        for write in (w.write_header_to_file, w.write_kv_data_to_file, w.write_tensors_to_file, w.close):
            write()
        want = json.loads(T.AutoTokenizer.from_pretrained(out, gguf_file=path.name).backend_tokenizer.to_str())
        # transformers leaves these out: llama.cpp (llama-vocab.cpp) and the models' own tokenizer.json have them.
        if pre in ("llama-bpe", "tekken"):
            want["model"]["ignore_merges"] = True
        if pre == "smollm":
            want["pre_tokenizer"] = dict(type="Sequence", pretokenizers=[dict(type="Digits", individual_digits=True), want["pre_tokenizer"]])
        if pre == "bloom":
            split = dict(type="Split", pattern=dict(Regex=BLOOM_SPLIT), behavior="Isolated", invert=False)
            want["pre_tokenizer"] = dict(type="Sequence", pretokenizers=[split, dict(want["pre_tokenizer"], use_regex=False)])
        (out / (name + ".json")).write_text(json.dumps(want, indent=1, ensure_ascii=False))


def save_seeds(out):
    fresh(out / "fuzz" / "FuzzGGUF")
    whole = (out / "gguf" / "llama" / "model.gguf").read_bytes()
    types = (out / "gguf" / "types.gguf").read_bytes()
    small = Path(tempfile.mkdtemp()) / "small.gguf"
    w = gguf.GGUFWriter(small, "bloom")
    w.add_head_count(1)
    w.add_tensor("blk.0.attn_qkv.weight", np.arange(6, dtype=np.float32).reshape(3, 2))
    w.add_tensor("token_embd.weight", np.zeros((2, 2), np.float16))
    for write in (w.write_header_to_file, w.write_kv_data_to_file, w.write_tensors_to_file, w.close):
        write()
    for name, data in {
        "small": small.read_bytes(), "header": whole[:700], "types": types[:1400], "version2": b"GGUF\2" + small.read_bytes()[5:],
        "big_endian": b"GGUF\0\0\0\3", "counts": b"GGUF\3\0\0\0" + b"\xff" * 16, "empty": b"GGUF\3\0\0\0" + bytes(16),
    }.items():
        seed(out, "FuzzGGUF", name, data)


def main():
    out = Path(sys.argv[1])
    fresh(out / "gguf")
    save_models(out / "gguf")
    save_types(out / "gguf")
    save_tokenizers(out / "gguf" / "tokenizers")
    save_seeds(out)
    versions = ", ".join(f"{m.__name__} {v}" for m, v in ((transformers, transformers.__version__), (torch, torch.__version__), (gguf, "0.19.0")))
    (out / "gguf" / "README.md").write_text(f"Made by compat_test/oracle/gguf_fixtures.py, never by gopeft, with\n{versions}.\n")


main()
