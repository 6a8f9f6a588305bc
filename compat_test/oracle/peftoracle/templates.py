"""template: what examples/template/peft_template.py, which users of PEFT take, answers with an adapter that has a template.

Input: {"text": ...} a line, or whatever else the template has in braces. Output: {"label": name, "probabilities": [one a label]}.
"""

import sys
from pathlib import Path

from . import models

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "template"))


def template(args):
    from peft_template import TemplateClassifier

    classifier = TemplateClassifier(args.adapter, args.base)
    models.write_jsonl(args.output, [answer(classifier, fields) for fields in models.read_jsonl(args.input)])


def answer(classifier, fields):
    return {"label": classifier.classify(fields)["label"], "probabilities": classifier.scores(fields).softmax(-1).double().tolist()}
