"""make-stories: a Llama in the format of llama2.c (github.com/karpathy/llama2.c, export.py, version 0) becomes a checkpoint of transformers."""

import pathlib
import shutil
import numpy
import torch
import transformers


def make_stories(args):
    """The file has the sizes as seven integers, then the weights in float32, of all layers one kind after the other."""
    file = pathlib.Path(args.file)
    sizes = numpy.fromfile(file, "<i4", 7)
    hidden, inner, layers, heads, groups, vocabulary, positions = (int(n) for n in sizes)
    if vocabulary < 0:
        raise SystemExit(f"{file}: a vocabulary of {vocabulary}: a head of its own is not read")
    config = transformers.LlamaConfig(
        hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=groups,
        vocab_size=vocabulary, max_position_embeddings=positions, rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
    )
    rest = torch.from_numpy(numpy.fromfile(file, "<f4", offset=sizes.nbytes))

    def take(*shape):
        nonlocal rest
        size = numpy.prod(shape)
        values, rest = rest[:size].view(shape), rest[size:]
        return values

    keys = hidden // heads * groups
    state = {"model.embed_tokens.weight": take(vocabulary, hidden)}
    for name, rotated, *shape in (
        ("input_layernorm", 0, hidden),
        ("self_attn.q_proj", heads, hidden, hidden),
        ("self_attn.k_proj", groups, keys, hidden),
        ("self_attn.v_proj", 0, keys, hidden),
        ("self_attn.o_proj", 0, hidden, hidden),
        ("post_attention_layernorm", 0, hidden),
        ("mlp.gate_proj", 0, inner, hidden),
        ("mlp.down_proj", 0, hidden, inner),
        ("mlp.up_proj", 0, inner, hidden),
    ):
        for layer, weight in enumerate(take(layers, *shape)):
            state[f"model.layers.{layer}.{name}.weight"] = halves(weight, rotated) if rotated else weight
    state["model.norm.weight"] = take(hidden)
    if len(rest) != positions * hidden // heads:  # the angles' cosines and sines
        raise SystemExit(f"{file}: {len(rest)} values are left, wanted the rotation's {positions * hidden // heads}")
    model = transformers.LlamaForCausalLM(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)
    model.save_pretrained(args.dir)
    if args.tokenizer:
        shutil.copyfile(args.tokenizer, pathlib.Path(args.dir) / "tokenizer.model")
        (pathlib.Path(args.dir) / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer", "add_bos_token": true}')


def halves(weight, heads):
    """llama2.c rotates neighbouring rows of a head, transformers those of its two halves."""
    return weight.view(heads, -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
