package main

import (
	"strings"

	"github.com/gopeft/gopeft/models"
)

// row is a line of the table: what both sides do, and the ratio that gopeft is to reach.
type row struct {
	name    string // for -rows, and for the files of the run
	title   string
	kind    kind
	base    string // a key of bases
	method  string // of the adapter, as the oracle names it
	mixed   int    // different adapters in a batch; 0: one
	data    data
	bf16    bool
	dropout bool // as the base's config has it; else training goes as in evaluation
	goal    float64
	share   float64 // of the peak that gopeft is to reach; 0: no goal
	memory  float64 // of gopeft's peak memory in Python's that is allowed; 0: no goal
	profile bool    // a column of the table of operators
}

// kind is what a worker does.
type kind string

const (
	training kind = "train"   // AdamW steps
	forward  kind = "forward" // answers of a model that is loaded
	starting kind = "start"   // a process that loads, answers and ends
	peaking  kind = "peak"    // what the processors can do at most

	generating kind = "generate" // greedy answers of a language model that is loaded
	tokenizing kind = "tokenize" // ids of texts, on one thread
)

// data says what the batches are.
type data struct {
	batch, tokens int // sequences, and tokens of each; tokens 0: sentences in their natural lengths
	written       int // tokens that are written behind each, or of the targets that an encoder-decoder learns
	warm, calls   int // batches before those that are timed, and these
}

var (
	full     = data{batch: 16, tokens: 128, warm: 2, calls: 4}
	natural  = data{batch: 16, warm: 3, calls: 16}
	answers  = data{batch: 16, tokens: 128, warm: 2, calls: 8}
	request  = data{batch: 1, tokens: 32, warm: 20, calls: 150}
	large    = data{batch: 8, tokens: 128, warm: 1, calls: 2}
	sentence = data{batch: 1, calls: 1}
	texts    = data{batch: 16, warm: 4, calls: 40}

	rowsOfText    = data{batch: 8, tokens: 128, warm: 1, calls: 1}
	rowsOfStories = data{batch: 8, tokens: 128, warm: 2, calls: 16}
	translation   = data{batch: 8, tokens: 128, written: 32, warm: 1, calls: 2}
	decoding      = data{batch: 1, tokens: 16, written: 64, warm: 1, calls: 1}
	decoding16    = data{batch: 16, tokens: 16, written: 64, warm: 1, calls: 1}
	firstToken    = data{batch: 1, tokens: 512, written: 1, warm: 1, calls: 2}
)

// warmWritten is how many tokens are written in calls that are not timed, at most.
const warmWritten = 4

// quick makes a row short.
func (d data) quick() data {
	d.warm, d.calls = min(d.warm, 2), min(d.calls, 2)
	d.written = min(d.written, 16)
	return d
}

const (
	miniLM   = ""
	bertBase = "bert-base"
	smolLM2  = "smollm2"
	gpt2     = "gpt2"
	t5Small  = "t5-small"
	stories  = "stories260k"
)

// The goals are those that the project set itself. Four adapters are prompts: behind one of the
// random prefixes torch's float32 is further from its double precision than the tolerance.
var rows = []row{
	{name: "train-prompt", title: "train prompt tuning, 16×128", kind: training, method: "prompt", data: full, goal: 1.6, share: 0.7, memory: 1.0 / 3},
	{name: "train-ptuning", title: "train P-tuning, 16×128", kind: training, method: "ptuning-mlp", data: full, goal: 1.6, share: 0.7, memory: 1.0 / 3},
	{name: "train-prefix", title: "train prefix tuning, 16×128", kind: training, method: "prefix", data: full, goal: 1.6, share: 0.7, memory: 1.0 / 3, profile: true},
	{name: "train-prefix-dropout", title: "the same with the model's dropout", kind: training, method: "prefix", data: full, dropout: true, goal: 1.6, memory: 1.0 / 3},
	{name: "train-prefix-bf16", title: "train prefix tuning, 16×128, bf16", kind: training, method: "prefix", data: full, bf16: true, goal: 1.8, memory: 1.0 / 3, profile: true},
	{name: "natural-prompt", title: "train prompt tuning, 16 sentences", kind: training, method: "prompt", data: natural, goal: 2.5, memory: 1.0 / 3},
	{name: "natural-ptuning", title: "train P-tuning, 16 sentences", kind: training, method: "ptuning-mlp", data: natural, goal: 2.5, memory: 1.0 / 3},
	{name: "natural-prefix", title: "train prefix tuning, 16 sentences", kind: training, method: "prefix", data: natural, goal: 2.5, memory: 1.0 / 3},
	{name: "natural-prefix-bf16", title: "train prefix tuning, 16 sentences, bf16", kind: training, method: "prefix", data: natural, bf16: true, goal: 2.5, memory: 1.0 / 3},
	{name: "forward", title: "forward with a prefix, 16×128", kind: forward, method: "prefix", data: answers, goal: 1.3},
	{name: "forward-bf16", title: "forward with a prefix, 16×128, bf16", kind: forward, method: "prefix", data: answers, bf16: true, goal: 1.2},
	{name: "request", title: "one request of 32 tokens, model loaded", kind: forward, method: "prefix", data: request, goal: 3},
	{name: "start", title: "process start to first answer", kind: starting, method: "prefix", data: sentence, goal: 30},
	{name: "tokenize", title: "tokenize 16 sentences, one thread", kind: tokenizing, data: texts, goal: 1},
	{name: "bert-train", title: "BERT-base shape, train prefix tuning, 8×128", kind: training, base: bertBase, method: "prefix", data: large, goal: 1.6, share: 0.7, memory: 1.0 / 3},
	{name: "bert-forward", title: "BERT-base shape, forward with a prefix, 8×128", kind: forward, base: bertBase, method: "prefix", data: large, goal: 1.3},
	{name: "smollm2-prefix", title: "SmolLM2, train prefix tuning, 8×128", kind: training, base: smolLM2, method: "prefix", data: rowsOfText, goal: 1.6, profile: true},
	{name: "smollm2-prefix-bf16", title: "SmolLM2, train prefix tuning, 8×128, bf16", kind: training, base: smolLM2, method: "prefix", data: rowsOfText, bf16: true, goal: 1.8},
	{name: "smollm2-prompt", title: "SmolLM2, train prompt tuning, 8×128", kind: training, base: smolLM2, method: "prompt", data: rowsOfText, goal: 1.6},
	{name: "smollm2-decode", title: "SmolLM2, decode one sequence", kind: generating, base: smolLM2, method: "prefix", data: decoding, goal: 2.5, profile: true},
	{name: "smollm2-decode-bf16", title: "SmolLM2, decode one sequence, bf16", kind: generating, base: smolLM2, method: "prefix", data: decoding, bf16: true, goal: 2.5},
	{name: "smollm2-decode-mixed", title: "SmolLM2, decode 16 sequences with 4 adapters", kind: generating, base: smolLM2, method: "prompt", mixed: 4, data: decoding16, goal: 4},
	{name: "smollm2-first", title: "SmolLM2, first token after 512", kind: generating, base: smolLM2, method: "prefix", data: firstToken, goal: 1.5},
	{name: "smollm2-tokenize", title: "SmolLM2, tokenize 16 sentences, one thread", kind: tokenizing, base: smolLM2, data: texts, goal: 1},
	{name: "gpt2-train", title: "GPT-2 shape, train prefix tuning, 8×128", kind: training, base: gpt2, method: "prefix", data: rowsOfText, goal: 1.6},
	{name: "gpt2-decode", title: "GPT-2 shape, decode one sequence", kind: generating, base: gpt2, method: "prefix", data: decoding, goal: 2.5},
	{name: "t5-train", title: "T5-small shape, train prompt tuning, 8×128 to 8×32", kind: training, base: t5Small, method: "prompt", data: translation, goal: 1.6},
	{name: "t5-decode", title: "T5-small shape, decode one sequence", kind: generating, base: t5Small, method: "prompt", data: decoding, goal: 2.5},
	{name: "stories-train", title: "stories260K, train prefix tuning, 8×128", kind: training, base: stories, method: "prefix", data: rowsOfStories, goal: 1.6},
	{name: "stories-decode", title: "stories260K, decode one sequence", kind: generating, base: stories, method: "prefix", data: decoding, goal: 2.5},
}

// virtualTokens is P of every adapter.
const virtualTokens = 20

// base is a model that rows are measured on.
type base struct {
	task models.Task
	// made are arguments of the oracle's make-base; nil: the command line names the model, or what it is made of.
	made  []string
	gated bool // the feed-forward layers
}

var bases = map[string]base{
	miniLM: {task: models.SeqCls},
	bertBase: {task: models.SeqCls, made: strings.Fields(
		"--num-labels 2 --layers 12 --hidden 768 --heads 12 --intermediate 3072 --vocab 30522 --max-positions 512 --dropout 0.1",
	)},
	smolLM2: {task: models.CausalLM, gated: true},
	stories: {task: models.CausalLM, gated: true},
	// With larger embeddings, which are the head's weights, scores are so far apart that gradients have denormal numbers.
	gpt2: {task: models.CausalLM, made: strings.Fields(
		"--embeddings 0.05 --arch gpt2 --layers 12 --hidden 768 --heads 12 --intermediate 3072 --vocab 50257 --max-positions 1024",
	)},
	t5Small: {task: models.Seq2SeqLM, made: append(
		strings.Fields("--arch t5 --layers 6 --hidden 512 --heads 8 --vocab 32128 --set"),
		`{"d_ff": 2048, "d_kv": 64, "num_decoder_layers": 6, "decoder_start_token_id": 0}`,
	)},
}

// task is what the row's base does.
func (r row) task() models.Task { return bases[r.base].task }

// targets is how many tokens an encoder-decoder learns to write behind each sequence.
func (r row) targets() int {
	if r.kind == training {
		return r.data.written
	}
	return 0
}

// byTime tells whether a row is measured in seconds a call, not in tokens a second.
func (r row) byTime() bool { return r.kind == starting || r.data.batch == 1 && r.data.written <= 1 }

// learningRate is one at which the losses move by a hundred times the tolerance within a
// few steps. At greater ones the units of P-tuning's MLP switch on and off by rounding:
// torch's float32 and its double precision part there too (compat_test/oracle/README.md). So
// they do on the T5 shape, whose random layers make much of a prompt: at 1e-2 by 0.003 in the
// third loss.
func (r row) learningRate() float64 {
	if r.method == "ptuning-mlp" || r.base == t5Small {
		return 1e-4
	}
	return 1e-2
}
