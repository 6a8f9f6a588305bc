"""make-base: a tiny random model whose every weight matters, so that a mistake shows in the numbers."""

import string
import torch
import transformers

from . import models

WORDS = "the a of and is was not good bad film what who when how many where city river great poor".split()
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_base(args):
    config = tiny_config(args)
    model = models.model_class(args.task, args.architecture)
    model = model(config) if args.architecture else model.from_config(config)
    if args.untied:
        untie(model)
    randomise(model, args.embeddings)
    model.to(models.DTYPES[args.dtype]).save_pretrained(args.dir)
    if args.tokenizer:
        tiny_tokenizer(args.vocab, args.max_positions).save_pretrained(args.dir)


def tiny_config(args):
    names = args.label_names.split(",") if args.label_names else [f"LABEL_{i}" for i in range(args.num_labels)]
    sizes = dict(
        num_hidden_layers=args.layers,
        hidden_size=args.hidden,
        num_attention_heads=args.heads,
        intermediate_size=args.intermediate,
        vocab_size=args.vocab,
        max_position_embeddings=args.max_positions,
        hidden_dropout_prob=args.dropout,
        attention_probs_dropout_prob=args.dropout,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
    )
    return transformers.AutoConfig.for_model(args.arch, **{**sizes, **args.set})


def untie(model):
    """Gives the head of a language model a weight of its own, which the file then holds."""
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
    model.lm_head.weight.requires_grad_(False)


@torch.no_grad()
def randomise(model, embeddings=0.5):
    """Linear weights N(0, 1/inputs), embeddings N(0, embeddings²), norm gains N(1, 0.2²), biases N(0, 0.2²).

    Gemma's norms multiply by 1 + weight. T5 does not scale its scores: its queries' weights are smaller by the root of the head size, as it draws them itself.
    """
    seen = set()
    for module in model.modules():
        unscaled = getattr(module, "key_value_proj_dim", 1) ** -0.5
        is_norm = type(module).__name__.endswith("Norm")
        for name, parameter in [*module.named_parameters(recurse=False), *final_bias(module)]:
            if id(parameter) in seen:  # tied weights
                continue
            seen.add(id(parameter))
            if name in ("bias", "final_logits_bias") or parameter.dim() == 1 and not is_norm:
                parameter.normal_(0, 0.2)
            elif is_norm:
                parameter.normal_(0 if "Gemma" in type(module).__name__ else 1, 0.2)
            elif isinstance(module, torch.nn.Embedding):
                parameter.normal_(0, embeddings)
            else:
                parameter.normal_(0, parameter.shape[-1] ** -0.5)
        if unscaled < 1:
            module.q.weight.mul_(unscaled)


def final_bias(module):
    """BART's bias of the logits, which is no parameter."""
    return [(name, buffer) for name, buffer in module.named_buffers(recurse=False) if name == "final_logits_bias"]


def tiny_tokenizer(size, max_length):
    """A WordPiece tokenizer of exactly `size` entries: specials, words, characters and their continuations, fillers."""
    characters = string.ascii_lowercase + string.digits + ".,?!'-"
    vocabulary = SPECIALS + list(characters) + ["##" + c for c in string.ascii_lowercase + string.digits] + WORDS
    vocabulary = (vocabulary + [f"[unused{i}]" for i in range(size)])[:size]
    return transformers.BertTokenizerFast(
        vocab={token: i for i, token in enumerate(vocabulary)}, do_lower_case=True, model_max_length=max_length
    )
