"""The command line: one subparser a command, and batch, which runs many commands in one process."""

import argparse
import json
import sys
import traceback
import warnings

import transformers

from . import adapters, bases, benching, encoders, forwards, generations, goldens, initstats, models, selftest, seq2seq, stepping, stories, templates, training

METHODS = list(adapters.METHODS)


def main(argv):
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    call(*argv)
    return 0


def call(*argv):
    args = parser().parse_args(argv)
    models.deterministic(args.seed, args.threads)
    args.run(args)


def parser():
    top = argparse.ArgumentParser(prog="oracle.py", description="Hugging Face transformers and PEFT as gopeft's witness.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_make_base, add_make_stories, add_make_adapter, add_forward, add_generate, add_template, add_resave, add_steps, add_init_stats, add_train, add_bench, add_goldens, add_encoder_goldens, add_seq2seq_goldens, add_batch, add_selftest):
        add(commands)
    return top


def new(commands, name, run, text):
    command = commands.add_parser(name, help=text, description=run.__doc__ or text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    command.set_defaults(run=run, call=call)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--threads", type=int, default=1, help="threads of torch")
    return command


def add_model(command, adapter=False):
    command.add_argument("--base", required=True, metavar="DIR")
    if adapter:
        command.add_argument("--adapter", required=True, metavar="DIR")
        command.add_argument("--allow-warnings", action="store_true", help="a warning of PEFT while loading is not an error")
    command.add_argument("--task", required=True, help=f"{', '.join(models.TASKS)} or null")
    command.add_argument("--architecture", help="class of transformers, instead of the task's; needed with --task null")
    command.add_argument("--num-labels", type=int, help="default: the adapter's, else the base's")


def add_make_base(commands):
    command = new(commands, "make-base", bases.make_base, "a tiny random base model")
    command.add_argument("dir", metavar="DIR")
    command.add_argument("--arch", default="bert", help="model_type of transformers")
    command.add_argument("--task", required=True, help=", ".join(models.TASKS))
    command.add_argument("--architecture", help="class of transformers, instead of the task's")
    for name, value in dict(layers=2, hidden=32, heads=4, intermediate=64, vocab=128, max_positions=64, num_labels=3).items():
        command.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    command.add_argument("--dropout", type=float, default=0.0)
    command.add_argument("--embeddings", type=float, default=0.5, metavar="STD", help="of the embeddings' weights")
    command.add_argument("--label-names", help="comma-separated, instead of LABEL_0, ...")
    command.add_argument("--dtype", choices=models.DTYPES, default="float32")
    command.add_argument("--untied", action="store_true", help="the head of the language model has a weight of its own")
    command.add_argument("--tokenizer", action="store_true", help="add a small WordPiece tokenizer")
    command.add_argument("--set", type=json.loads, default={}, metavar="JSON", help="further fields of config.json, as an object")


def add_make_stories(commands):
    command = new(commands, "make-stories", stories.make_stories, "a checkpoint of a Llama in the format of llama2.c")
    command.add_argument("file", metavar="FILE")
    command.add_argument("dir", metavar="DIR")
    command.add_argument("--tokenizer", metavar="FILE", help="its sentencepiece model, which is put beside")


def add_make_adapter(commands):
    command = new(commands, "make-adapter", adapters.make_adapter, "an adapter directory with weights as after training")
    add_model(command)
    command.add_argument("--method", required=True, choices=METHODS)
    command.add_argument("--out", required=True, metavar="DIR")
    command.add_argument("--n", type=int, default=5, dest="virtual_tokens", help="virtual tokens")
    command.add_argument("--state", metavar="FILE", help="write the training-time parameters too (safetensors)")
    command.add_argument("--base-name", help="what the files state as the base, instead of the folder")
    command.add_argument("--config", type=json.loads, default={}, metavar="JSON", help="further fields of the adapter config, as an object")
    command.add_argument("--untrained", action="store_true", help="leave the weights as PEFT initialises them")
    command.add_argument("--bin", action="store_true", help="write adapter_model.bin")


def add_forward(commands):
    command = new(commands, "forward", forwards.forward, "what the model returns for each sequence of a JSONL file")
    command.description, command.formatter_class = forwards.__doc__, argparse.RawDescriptionHelpFormatter
    add_model(command)
    command.add_argument("--adapter", metavar="DIR")
    command.add_argument("--allow-warnings", action="store_true", help="a warning of PEFT while loading is not an error")
    command.add_argument("--input", required=True, metavar="FILE")
    command.add_argument("--output", required=True, metavar="FILE")
    command.add_argument("--problem-type", help="regression, single_label_classification or multi_label_classification")
    command.add_argument("--dtype", choices=models.DTYPES, default="float32")
    command.add_argument("--autocast", action="store_true", help="compute under torch.autocast in bfloat16")
    command.add_argument("--keep-errors", action="store_true", help='a sequence that the model refuses gives {"error": text}')


def add_generate(commands):
    command = new(commands, "generate", generations.generate, "what generate answers to each prompt of a JSONL file")
    command.description, command.formatter_class = generations.__doc__, argparse.RawDescriptionHelpFormatter
    add_model(command)
    command.add_argument("--adapter", metavar="DIR")
    command.add_argument("--allow-warnings", action="store_true", help="a warning of PEFT while loading is not an error")
    command.add_argument("--input", required=True, metavar="FILE")
    command.add_argument("--output", required=True, metavar="FILE")
    command.add_argument("--dtype", choices=models.DTYPES, default="float32")
    command.set_defaults(problem_type=None)


def add_template(commands):
    command = new(commands, "template", templates.template, "what an adapter with a template answers to the lines of a JSONL file")
    command.description, command.formatter_class = templates.__doc__, argparse.RawDescriptionHelpFormatter
    for name in ("base", "adapter"):
        command.add_argument("--" + name, required=True, metavar="DIR")
    for name in ("input", "output"):
        command.add_argument("--" + name, required=True, metavar="FILE")


def add_resave(commands):
    command = new(commands, "resave", adapters.resave, "PEFT loads an adapter and saves it again")
    add_model(command, adapter=True)
    command.add_argument("--out", required=True, metavar="DIR")
    command.add_argument("--bin", action="store_true", help="write adapter_model.bin")


def add_steps(commands):
    command = new(commands, "steps", stepping.steps, "AdamW steps from a given start")
    command.description, command.formatter_class = stepping.__doc__, argparse.RawDescriptionHelpFormatter
    add_model(command)
    command.add_argument("--adapter-config", metavar="FILE", help="an adapter_config.json; none: all weights of the base are trained")
    command.add_argument("--start", metavar="FILE", help="every trained parameter of an adapter, named as by make-adapter --state")
    command.add_argument("--data", required=True, metavar="FILE")
    command.add_argument("--out", required=True, metavar="FILE")
    command.add_argument("--steps", type=int, default=10)
    for name, value in dict(lr=1e-2, weight_decay=0.01, beta1=0.9, beta2=0.999, eps=1e-8, clip=0.0).items():
        command.add_argument("--" + name.replace("_", "-"), type=float, default=value)
    command.add_argument("--schedule", default="constant", help="a schedule of transformers: constant, linear, cosine, constant_with_warmup, ...")
    command.add_argument("--warmup-steps", type=int, default=0)
    command.add_argument("--total-steps", type=int, help="length of the schedule; default: --steps")
    command.add_argument("--problem-type", help="regression, single_label_classification or multi_label_classification")
    command.add_argument("--dtype", choices=models.DTYPES, default="float32", help="float64 shows what rounding does to the float32 run")
    command.add_argument("--keep", choices=("all", "last", "end"), default="all", help="which steps' parameters to write; end: the last step's, and no start")
    command.add_argument("--save-adapter", metavar="DIR", help="save_pretrained after the last step")


def add_init_stats(commands):
    command = new(commands, "init-stats", initstats.init_stats, "the distributions of PEFT's initial values")
    command.add_argument("--base", required=True, metavar="DIR")
    command.add_argument("--task", default="SEQ_CLS")
    command.add_argument("--num-labels", type=int)
    command.add_argument("--out", required=True, metavar="FILE")
    command.add_argument("--draws", type=int, default=20)
    command.add_argument("--n", type=int, default=20, dest="virtual_tokens", help="virtual tokens")
    command.add_argument("--methods", nargs="*", choices=METHODS)
    command.add_argument("--config", type=json.loads, default={}, metavar="JSON", help="further fields of the P-tuning configs")


def add_train(commands):
    command = new(commands, "train", training.train, "a reference training run on text")
    command.description, command.formatter_class = training.__doc__, argparse.RawDescriptionHelpFormatter
    command.set_defaults(threads=2)
    command.add_argument("--base", required=True, metavar="DIR")
    command.add_argument("--train", required=True, metavar="FILE")
    command.add_argument("--dev", required=True, metavar="FILE")
    command.add_argument("--format", choices=("tsv", "tsv-header", "trec"), required=True)
    command.add_argument("--method", required=True, choices=METHODS)
    command.add_argument("--n", type=int, default=20, dest="virtual_tokens", help="virtual tokens")
    command.add_argument("--lr", type=float, required=True)
    for name, value in dict(weight_decay=0.0, warmup_ratio=0.06, clip=1.0).items():
        command.add_argument("--" + name.replace("_", "-"), type=float, default=value)
    for name, value in dict(batch_size=32, epochs=3, max_length=128).items():
        command.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    command.add_argument("--schedule", default="linear", help="a schedule of transformers")
    command.add_argument("--attention", choices=("eager", "sdpa"), default="sdpa")
    command.add_argument("--prompt-init", choices=("RANDOM", "SAMPLE_VOCAB"), default="RANDOM")
    command.add_argument("--prefix-init", choices=("normal", "zero"), default="normal")
    command.add_argument("--config", type=json.loads, default={}, metavar="JSON", help="further fields of the adapter config, as an object")
    command.add_argument("--out", metavar="DIR", help="save the adapter")


def add_bench(commands):
    command = new(commands, "bench", benching.bench, "the workers of make bench-peft")
    command.description, command.formatter_class = benching.__doc__, argparse.RawDescriptionHelpFormatter


def add_goldens(commands):
    command = new(commands, "goldens", goldens.goldens, "every method and task on tiny models, with their expected numbers")
    command.add_argument("dir", metavar="DIR")


def add_encoder_goldens(commands):
    command = new(commands, "encoder-goldens", encoders.encoder_goldens, "a tiny model of every encoder architecture, with its expected numbers")
    command.description, command.formatter_class = encoders.__doc__, argparse.RawDescriptionHelpFormatter
    command.add_argument("dir", metavar="DIR")
    command.add_argument("--only", nargs="*", choices=encoders.ARCHITECTURES, help="these only")


def add_seq2seq_goldens(commands):
    command = new(commands, "seq2seq-goldens", seq2seq.seq2seq_goldens, "tiny encoder-decoders and adapters on them, with their expected numbers")
    command.description, command.formatter_class = seq2seq.__doc__, argparse.RawDescriptionHelpFormatter
    command.add_argument("dir", metavar="DIR")


def add_batch(commands):
    new(commands, "batch", batch, "run the commands read from standard input in this one process")


def add_selftest(commands):
    new(commands, "selftest", selftest.selftest, "exercise every command (about a minute)")


def batch(args):
    """Reads one command a line, a JSON array of arguments, runs it, and answers {"ok": true} or {"error": text} on a line.

    Starting Python and its libraries costs seconds; a test with many commands pays them once.
    """
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def answer(argv):
    try:
        call(*argv)
        return {"ok": True}
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}
