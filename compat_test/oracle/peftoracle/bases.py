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
    randomise(model)
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


@torch.no_grad()
def randomise(model):
    """Linear weights N(0, 1/inputs), embeddings N(0, 0.5²), norm gains N(1, 0.2²), biases N(0, 0.2²)."""
    seen = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:  # tied weights
                continue
            seen.add(id(parameter))
            if name == "bias" or parameter.dim() == 1 and not isinstance(module, torch.nn.LayerNorm):
                parameter.normal_(0, 0.2)
            elif isinstance(module, torch.nn.LayerNorm):
                parameter.normal_(1, 0.2)
            elif isinstance(module, torch.nn.Embedding):
                parameter.normal_(0, 0.5)
            else:
                parameter.normal_(0, parameter.shape[-1] ** -0.5)


def tiny_tokenizer(size, max_length):
    """A WordPiece tokenizer of exactly `size` entries: specials, words, characters and their continuations, fillers."""
    characters = string.ascii_lowercase + string.digits + ".,?!'-"
    vocabulary = SPECIALS + list(characters) + ["##" + c for c in string.ascii_lowercase + string.digits] + WORDS
    vocabulary = (vocabulary + [f"[unused{i}]" for i in range(size)])[:size]
    return transformers.BertTokenizerFast(
        vocab={token: i for i, token in enumerate(vocabulary)}, do_lower_case=True, model_max_length=max_length
    )
