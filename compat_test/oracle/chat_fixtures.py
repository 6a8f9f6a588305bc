"""Makes tokenize/chat/testdata/goldens.json: what apply_chat_template of transformers makes of conversations.

    python compat_test/oracle/chat_fixtures.py tokenize/chat/testdata

The templates are small ones of the kinds that common models have. Where the template raises an error, the golden is its message.
"""

import json
import sys
from pathlib import Path

import jinja2
import transformers
from tokenizers import Tokenizer, models

CONVERSATIONS = {
    "question": [("user", "Which way to the harbour?")],
    "system": [("system", "You answer in rhymes. "), ("user", "  Which way?\n")],
    "turns": [("user", "Hi"), ("assistant", " Hello, \"you\" & <b>all</b>! "), ("user", "L'été 今天 🚢\n\nnew line")],
    "long": [("system", "Be brief."), ("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "<think>\nwell\n</think>\n\n2")],
    "thoughts": [("user", "A?"), ("assistant", "<think>\nhm\n</think>\n\nB"), ("user", "C?"), ("assistant", "<think>ok</think>D")],
    "answer first": [("assistant", "Yes."), ("user", "No.")],
    "twice": [("user", "a"), ("user", "b")],
    "late system": [("user", "a"), ("system", "b"), ("user", "c")],
    "empty": [("user", ""), ("assistant", "")],
}

# What templates are made of, one by one; they begin with a list l.
EXPRESSIONS = [
    "{{ [{'a':1}]|map(attribute='a')|list }}",
    "{% for x in [1,2,3] %}{{ loop.previtem }}|{{ loop.nextitem }} {% endfor %}",
    "{% for x in [1,2,3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('a','b') }} {% endfor %}",
    "{{ 'abc'[::-1] }}{{ 'abc'[1:] }}{{ 'abc'[-1] }}{{ 'abc'[:-1] }}",
    "{{ [1,'a',none,true,1.5] }}",
    "{{ {'a': 1, 'b': 'x'} }}",
    "{{ 1 < 2 < 3 }}",
    "{{ 'a' in 'abc' }} {{ 1 not in [2] }}",
    "{{ x is defined }} {{ x is not defined }} {{ x is none }} {{ none is none }} {{ '' is string }} {{ 1 is number }} {{ {} is mapping }} {{ [] is sequence }} {{ 'a' is iterable }} {{ {} is iterable }} {{ 1 is iterable }}",
    "{{ x or 'y' }} {{ '' or 'z' }} {{ 'a' and 'b' }} {{ not x }}",
    "{{ x|default('d') }} {{ ''|default('d') }} {{ ''|default('d', true) }}",
    "{{ 'abab'.replace('a','x') }} {{ 'abab'.replace('a','x',1) }} {{ 'abab'|replace('a','x') }}",
    "{{ '  a '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'xxa'.lstrip('x') }}|{{ 'axx'.rstrip('x') }}",
    "{{ [1,2]|join('-') }} {{ [{'a':1},{'a':2}]|join('-', attribute='a') }}",
    "{{ [1,2,3]|length }} {{ 'abc'|length }} {{ {'a':1}|length }} {{ 'é今'|length }}",
    "{{ [1,1,2]|unique|list }}",
    "{{ {'a':[1,{'b':'é<'}]}|tojson }}",
    "{% set x %}a{{ 1 }}b{% endset %}[{{ x }}]",
    "{% set ns = namespace(x=1) %}{% for i in [1,2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set x = 1 %}{% for i in [1,2] %}{% set x = x + i %}{% endfor %}{{ x }}",
    "{% if true %}{% set x = 5 %}{% endif %}{{ x }}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for k, v in {'a':1,'b':2}.items() %}{{ k }}{{ v }}{% endfor %}",
    "{% for k in {'a':1,'b':2} %}{{ k }}{% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for i in [1,2,3] if i > 1 %}{{ i }}{{ loop.index }}{% endfor %}",
    "{% for a, b in [[1,2],[3,4]] %}{{ a }}-{{ b }} {% endfor %}",
    "  {% if true %}\n  a\n  {% endif %}\nb",
    "  {%- if true -%}\n  a\n  {%- endif %}\nb",
    "a\n  {# c #}\nb",
    "{{ '\\n' }}|{{ '\\t' }}|{{ '\\'' }}|{{ \"\\u00e9\" }}",
    "{{ 'a' if x else 'b' }}{{ 'a' if x }}",
    "{%+ if true %}a{% endif %}",
    "  {%+ if true %}a{% endif %}",
    "{% if true +%}\na{% endif %}",
    "{{ {'a':1}['b'] is defined }} {{ {'a':1}.b is defined }} {{ {'a':{'b':1}}.a.b }}",
    "{{ l == ['a'] }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ {'a':1} == {'a':1} }}",
    "{{ range(3)|list }} {{ range(1,3)|list }} {{ range(0,6,2)|list }}",
    "{{ l[5] }}",
    "{{ none.a }}",
    "{{ x|length }}",
    "{{ 5|trim }}",
    "{{ l|trim }}",
    "{{ l|upper }}",
    "{% for i in x %}a{% endfor %}z",
    "{{ l|join }}",
    "{{ dict(a=1) }}",
    "{{ loop }}",
    "{{ caller }}",
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}{{ m() }}",
    "{% macro m(x) %}[{{ caller(x) }}]{% endmacro %}{% call(y) m(5) %}{{ y }}{% endcall %}",
    "{% filter upper %}ab{% endfilter %}",
    "{{ 1 if true else 2 if false else 3 }}",
    "{{ not true and false or true }}",
    "{{ (1,)|length }}",
    "{{ [1,2]|tojson|length }}",
    "{{ messages|map(attribute='content')|join(' ') }}",
    "{{ messages|selectattr('role','in',['user'])|list|length }}",
    "{{ messages[0]|string }}",
    "{{ messages[0]|tojson }}",
    "{{ messages|last }}",
    "{{ messages[-1:]|length }}",
    "{{ 'a\\\\nb' }}",
    "{{ 'a b c'|replace(' ', '')|upper|trim }}",
    "{{ [3, 1] | length }} {{ 7 // 2 }} {{ 7 % 3 }} {{ 2 ** 3 }} {{ 7 / 2 }}",
    "{% for m in messages %}\n  {%- if m.role == 'user' %}\n  {{ m.content }}\n  {% endif %}\n{% endfor %}\nend\n\n",
    "a {# b #} c\n  {# d #}\ne",
    "{{ 'a' }} \n {%- set x = 1 %} b",
    "\n  {% if true %}\n\tx {% endif %}\n",
    "{{- 'a' -}}  b {{ {'a': {'b': '}}'}}.a.b }} {{ \"%}\" }}",
    "{{ '\\x41\\u00e9\\U0001F6A2\\q\\\\' }}",
    "{{ [true, 'a'] }} {{ messages[0] | tojson }} {{ {'b': 1}.items() | list | length }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('/') }}",
    "[{{ 'éab' | first }}{{ 'éab' | last }}{{ '' | first }}{{ [1, 2] | last }}{{ [] | first }}{{ {'k': 1, 'm': 2} | last }}]",
    "{% macro m(t) %}{{ t | first }}{% endmacro %}{{ m('xy') }}",
    "{{ 2.5 | round == 2 }} {{ 3.5 | round == 4 }} {{ -2.5 | round == -2 }} {{ 2.675 | round(2) }} {{ 2.25 | round(1) }} {{ 7 | round }}",
    "{{ 2.14 | round(1, 'ceil') }} {{ 2.19 | round(1, method='floor') }} {{ 2.5 | round(precision=0) == 2 }}",
    "{{ ['a', 'A', 'b', 1, true, 1.0, '1', none, none] | unique | list | length }} {{ ['B', 'a', 'b'] | unique | join }}",
    "{{ '\u2028\x7f\x01\n\\\"' | tojson }} {{ [[], {}, true, none, 12] | tojson }}",
    "{{ {'a': [1, {'b': 'é'}], 'c': {}, 'd': []} | tojson(indent=2) }}",
    "{{ none }} {{ [none, true] }} {{ none | string }} {{ {'a': 1}.get('b') }}",
    "{{ [\"it's\", 'a\"b', '\\'\"', 'é\n\t\\\x7f\u200b'] }} {{ {\"k's\": ''} }}",
]


def render(tokenizer, template, conversation, generate):
    messages = [{"role": role, "content": content} for role, content in conversation]
    try:
        return {"text": tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=generate)}
    except jinja2.exceptions.TemplateError as error:
        return {"error": str(error)}


def main(folder):
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0})), bos_token="<s>", eos_token="</s>")
    goldens = []
    for path in sorted(Path(folder, "templates").glob("*.jinja")):
        for name, conversation in CONVERSATIONS.items():
            for generate in (False, True):
                goldens.append({
                    "template": path.name, "conversation": conversation, "name": name, "generate": generate,
                    **render(tokenizer, path.read_text(), conversation, generate)})
    for source in EXPRESSIONS:
        source = "{% set l = ['a'] %}\n" + source
        goldens.append({
            "source": source, "name": "expression", "conversation": [("user", "hi")], "generate": False,
            **render(tokenizer, source, [("user", "hi")], False)})
    out = {"made_with": f"transformers {transformers.__version__}, jinja2 {jinja2.__version__}", "goldens": goldens}
    Path(folder, "goldens.json").write_text(json.dumps(out, indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
