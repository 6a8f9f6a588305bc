package compat_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/models"
)

// supportRow is a row of README.md's table of bases: architectures, each compared in each task with
// each method. Notes are what the table adds; other tests compare that.
type supportRow struct {
	bases, tasksNote, methodsNote string
	arches                        []string
	tasks                         []models.Task
	methods                       []variant
}

var (
	encoderSupport = []models.Task{models.SeqCls, models.TokenCls, models.QuestionAns, models.FeatureExtraction}
	decoderSupport = append([]models.Task{models.CausalLM}, encoderSupport...)

	anyPrompt    = variant{name: "PROMPT_TUNING", method: "prompt"}
	anyMLP       = variant{name: "P_TUNING", method: "ptuning-mlp", fields: map[string]any{"encoder_hidden_size": 24}}
	anyLSTM      = variant{name: "P_TUNING", method: "ptuning-lstm", fields: map[string]any{"encoder_hidden_size": 12}}
	anyPrefix    = variant{name: "PREFIX_TUNING", method: "prefix"}
	anyCartridge = variant{name: "CARTRIDGE", method: "cartridge"}
	anyLora      = variant{name: "LORA", method: "lora", fields: map[string]any{
		"r": 4, "lora_alpha": 2, "target_modules": `.*\.(query|q_lin|Wqkv|in_proj|query_proj|c_attn|query_key_value|q_proj|qkv_proj|q)`,
	}}
)

var support = []supportRow{
	{
		bases: "RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA", arches: []string{"roberta", "xlm-roberta", "camembert", "electra"},
		tasks: encoderSupport, methods: []variant{anyPrompt, anyMLP, anyPrefix, anyCartridge, anyLora},
	},
	{
		bases: "ALBERT, DistilBERT, ModernBERT, DeBERTa, DeBERTa-v2, DeBERTaV3", arches: []string{"albert", "distilbert", "modernbert", "deberta", "deberta-v2"},
		tasks: encoderSupport, methods: []variant{anyPrompt, anyMLP, anyLora}, methodsNote: "; prefixes in gopeft only: PEFT refuses or ignores them there",
	},
	{
		bases: "Llama 2 to 3.2, SmolLM2, TinyLlama", arches: []string{"llama"},
		tasks: decoderSupport, methods: []variant{anyPrompt, anyLSTM, anyPrefix, anyCartridge, anyLora}, methodsNote: ", and CPT of CAUSAL_LM",
	},
	{
		bases: "GPT-2, BLOOM, GPT-NeoX (Pythia), OPT", arches: []string{"gpt2", "bloom", "gpt_neox", "opt"},
		tasks: decoderSupport, tasksNote: "; OPT without TOKEN_CLS", methods: []variant{anyPrompt, anyLSTM, anyPrefix, anyCartridge, anyLora},
	},
	{
		bases: "Mistral, Qwen2 and 2.5, Qwen3, SmolLM3", arches: []string{"mistral", "qwen2", "qwen3", "smollm3"},
		tasks: decoderSupport, methods: []variant{anyPrompt, anyLSTM, anyPrefix, anyCartridge, anyLora},
	},
	{
		bases: "Gemma 1 and 2, Phi-3", arches: []string{"gemma", "gemma2", "phi3"},
		tasks:   []models.Task{models.CausalLM, models.SeqCls, models.TokenCls, models.FeatureExtraction},
		methods: []variant{anyPrompt, anyLSTM, anyPrefix, anyCartridge, anyLora},
	},
	{
		bases: "Gemma 3 (text), OLMo 2", arches: []string{"gemma3_text", "olmo2"},
		tasks: []models.Task{models.CausalLM, models.SeqCls, models.FeatureExtraction}, methods: []variant{anyPrompt, anyLSTM, anyPrefix, anyCartridge, anyLora},
	},
	{
		bases: "T5, FLAN-T5, mT5, BART, mBART, BARThez, PEGASUS", arches: []string{"t5", "mt5", "bart", "mbart", "barthez", "pegasus"},
		tasks: []models.Task{models.Seq2SeqLM}, methods: []variant{anyPrompt, anyLSTM, anyPrefix, anyCartridge, anyLora}, methodsNote: "; MULTITASK on BART",
	},
	{
		bases: "T5, mT5", arches: []string{"t5", "mt5"},
		tasks: encoderSupport, methods: []variant{anyLora}, methodsNote: "; prompts but in SEQ_CLS, MULTITASK in TOKEN_CLS",
	},
	{
		bases: "BART, mBART, BARThez", arches: []string{"bart", "mbart", "barthez"},
		tasks: []models.Task{models.SeqCls, models.QuestionAns, models.FeatureExtraction}, methods: []variant{anyLora}, methodsNote: "; prompts but in SEQ_CLS",
	},
	{
		bases: "PEGASUS", arches: []string{"pegasus"},
		tasks: []models.Task{models.FeatureExtraction}, methods: []variant{anyLora}, methodsNote: "; prompts",
	},
}

func (r supportRow) line() string {
	var tasks, methods []string
	for _, task := range r.tasks {
		tasks = append(tasks, string(task))
	}
	for _, v := range r.methods {
		methods = append(methods, v.name)
	}
	return "| " + r.bases + " | " + strings.Join(tasks, ", ") + r.tasksNote + " | " + strings.Join(methods, ", ") + r.methodsNote + " |"
}

// TestSupportTable wants the table in README.md to be the one that TestLiveSupport compares.
func TestSupportTable(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	table := "| bases | tasks | methods |\n| --- | --- | --- |\n"
	for _, row := range support {
		table += row.line() + "\n"
	}
	if !strings.Contains(string(readme), "\n\n"+table+"\n") {
		t.Errorf("README.md has not this table:\n%s", table)
	}
}

// TestLiveSupport compares every cell of it: Python makes an adapter, Go loads it, answers the
// same and saves the same bytes.
func TestLiveSupport(t *testing.T) {
	o := needOracle(t)
	for _, row := range support {
		for _, arch := range row.arches {
			for _, task := range row.tasks {
				if slices.Contains(lacking[arch], task) {
					continue
				}
				t.Run(arch+" "+string(task), func(t *testing.T) {
					c, base := supportCase(t, o, arch, task)
					for _, v := range row.methods {
						t.Run(v.name, func(t *testing.T) { roundTrip(t, o, c, base, v.sized(base.sizes)) })
					}
				})
			}
		}
	}
}

// supportCase makes the base that an architecture's own test has.
func supportCase(t *testing.T, o *oracle, arch string, task models.Task) (taskCase, liveBase) {
	c := taskCase{name: string(task), task: task}
	switch task {
	case models.SeqCls:
		c.kind, c.labels = models.SingleLabel, 3
	case models.TokenCls:
		c.labels = 3
	case models.QuestionAns:
		c.labels = 2
	}
	if at := slices.IndexFunc(liveEncoders, func(e liveEncoder) bool { return e.arch == arch }); at >= 0 {
		base := liveEncoders[at].base(t, o, c)
		base.sizes = liveEncoders[at].sizes
		return c, base
	}
	if at := slices.IndexFunc(decoderBases, func(b decoderBase) bool { return b.arch == arch }); at >= 0 {
		return c, tinyDecoder(t, o, task, arch, decoderBases[at].set, "--num-labels", strconv.Itoa(max(c.labels, 1)))
	}
	own := seq2seqBases[slices.IndexFunc(seq2seqBases, func(b seq2seqBase) bool { return b.name == arch })]
	base := tinySeq2Seq(t, o, task, shallow.Replace(own.arguments), shallow.Replace(own.set), "--num-labels", strconv.Itoa(max(c.labels, 1)))
	isT5 := strings.HasSuffix(arch, "t5")
	if base.decoder = task != models.Seq2SeqLM; task == models.SeqCls {
		if base.end = 2; isT5 {
			base.end = 1
		}
	}
	if base.decoderIDs = task == models.FeatureExtraction && (isT5 || arch == "pegasus"); base.decoderIDs || task == models.Seq2SeqLM {
		c.shift = openBase(t, base.dir, models.HeadSpec{}, 0).Backbone.(models.EncoderDecoder).ShiftRight
	}
	return c, base
}
