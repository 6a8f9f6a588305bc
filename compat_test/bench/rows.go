package main

// row is a line of the table: what both sides do, and the ratio that gopeft is to reach.
type row struct {
	name  string // for -rows, and for the files of the run
	title string
	kind  kind
	base  string // a key of bases; "" is miniLM
	// method is the adapter's, as the oracle names it.
	method  string
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

	tokenizing kind = "tokenize" // ids of texts, on one thread
)

// data says what the batches are.
type data struct {
	batch, tokens int // sequences, and tokens of each; tokens 0: sentences in their natural lengths
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
)

// quick makes a row short.
func (d data) quick() data {
	d.warm, d.calls = min(d.warm, 2), min(d.calls, 2)
	return d
}

const (
	miniLM   = ""
	bertBase = "bert-base"
)

// The goals are those that the project set itself.
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
}

// virtualTokens is P of every adapter.
const virtualTokens = 20

// bases are the models that the oracle makes, by name: arguments of its make-base.
var bases = map[string][]string{
	bertBase: {
		"--task", "SEQ_CLS", "--num-labels", "2", "--layers", "12", "--hidden", "768", "--heads", "12",
		"--intermediate", "3072", "--vocab", "30522", "--max-positions", "512", "--dropout", "0.1",
	},
}

// byTime tells whether a row is measured in seconds a call, not in tokens a second.
func (r row) byTime() bool { return r.kind == starting || r.data.batch == 1 }

// learningRate is one at which the losses move by a hundred times the tolerance within a
// few steps. At greater ones the units of P-tuning's MLP switch on and off by rounding:
// torch's float32 and its double precision part there too (compat_test/oracle/README.md).
func (r row) learningRate() float64 {
	if r.method == "ptuning-mlp" {
		return 1e-4
	}
	return 1e-2
}
