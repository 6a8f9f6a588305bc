package compat_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

type decoderBase struct{ name, arch, set string }

// decoderBases are tiny decoders of every model_type, and of every way in which one can be
// configured: fields of config.json beside the sizes.
var decoderBases = []decoderBase{
	{"llama", "llama", `{"num_key_value_heads": 2}`},
	{"gpt2", "gpt2", `{"n_inner": 40}`},
	{"bloom", "bloom", `{}`},
	{"bloom-normed", "bloom", `{"apply_residual_connection_post_layernorm": true, "n_head": 3, "tie_word_embeddings": false}`},
	{"gpt_neox", "gpt_neox", `{"rotary_pct": 0.67}`},
	{"gpt_neox-serial", "gpt_neox", `{"use_parallel_residual": false, "attention_bias": false, "rotary_pct": 0.67, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}`},
	{"opt", "opt", `{"ffn_dim": 40}`},
	{"opt-projected", "opt", `{"ffn_dim": 40, "word_embed_proj_dim": 16, "do_layer_norm_before": false}`},
	{"opt-unnormed", "opt", `{"ffn_dim": 40, "_remove_final_layer_norm": true, "enable_bias": false, "activation_function": "gelu", "tie_word_embeddings": false}`},
	{"gpt2-scales", "gpt2", `{"scale_attn_weights": false, "scale_attn_by_inverse_layer_idx": true, "tie_word_embeddings": false, "activation_function": "relu"}`},
	{"llama-biases", "llama", `{"num_key_value_heads": 2, "head_dim": 10, "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": true}`},
	{"llama-linear", "llama", `{"rope_scaling": {"type": "linear", "factor": 3.0}}`},
	{"llama-dynamic", "llama", `{"max_position_embeddings": 8, "rope_scaling": {"rope_type": "dynamic", "factor": 2.5}}`},
	{"llama-longrope", "llama", `{"head_dim": 6, "rope_scaling": {"rope_type": "longrope", "original_max_position_embeddings": 12, "short_factor": [1.0, 1.5, 2.0], "long_factor": [2.0, 4.0, 3.0]}}`},
	{"gpt_neox-dynamic", "gpt_neox", `{"rotary_pct": 0.67, "max_position_embeddings": 8, "rope_scaling": {"rope_type": "dynamic", "factor": 2.5}}`},
	{"llama-yarn", "llama", `{"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 10}}`},
	{"llama-llama3", "llama", `{"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}}`},
	{"mistral", "mistral", `{"num_key_value_heads": 2, "sliding_window": 4}`},
	{"mistral-no-window", "mistral", `{"num_key_value_heads": 4, "head_dim": 8, "sliding_window": null}`},
	{"qwen2", "qwen2", `{"num_key_value_heads": 2, "use_sliding_window": true, "sliding_window": 4, "max_window_layers": 1}`},
	{"qwen3", "qwen3", `{"num_key_value_heads": 2, "head_dim": 8, "attention_bias": true}`},
	{"smollm3", "smollm3", `{"num_key_value_heads": 2, "no_rope_layer_interval": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}`},
	{"gemma", "gemma", `{"num_key_value_heads": 1, "head_dim": 8}`},
	{"gemma2", "gemma2", `{"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 10}`},
	{"gemma3", "gemma3_text", `{"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4, "sliding_window_pattern": 2, "query_pre_attn_scalar": 10, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}`},
	{"gemma3-capped", "gemma3_text", `{"num_key_value_heads": 2, "head_dim": 8, "final_logit_softcapping": 1.5, "query_pre_attn_scalar": 10}`},
	{"phi3", "phi3", `{"num_key_value_heads": 2, "original_max_position_embeddings": 40, "pad_token_id": 0, "eos_token_id": 1}`},
	{"phi3-longrope", "phi3", `{"partial_rotary_factor": 0.7, "max_position_embeddings": 80, "original_max_position_embeddings": 12, "pad_token_id": 0, "eos_token_id": 1, "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [2.0, 4.0]}}`},
	{"olmo2", "olmo2", `{"num_key_value_heads": 2}`},
}

// decoderCases are the tasks of decoders.
var decoderCases = []taskCase{
	{name: "CAUSAL_LM", task: models.CausalLM},
	{name: "SEQ_CLS", task: models.SeqCls, kind: models.SingleLabel, labels: 3},
	{name: "TOKEN_CLS", task: models.TokenCls, labels: 3},
	{name: "QUESTION_ANS", task: models.QuestionAns, labels: 2},
	{name: "FEATURE_EXTRACTION", task: models.FeatureExtraction},
}

// lacking are the tasks for which transformers has no class of a model_type.
var lacking = map[string][]models.Task{
	"gemma":  {models.QuestionAns},
	"gemma2": {models.QuestionAns},
	"olmo2":  {models.TokenCls, models.QuestionAns},
	"opt":    {models.TokenCls},
	"phi3":   {models.QuestionAns},
}

// untargeted are the model_types for which PEFT knows no target_modules.
var untargeted = []string{"olmo2", "phi3", "smollm3"}

var decoderVariants = []variant{
	{name: "prompt", method: "prompt", always: true},
	{name: "ptuning-lstm", method: "ptuning-lstm", fields: map[string]any{"encoder_hidden_size": 12}},
	{name: "prefix", method: "prefix", always: true},
	{name: "prefix-projection", method: "prefix-projection", fields: map[string]any{"encoder_hidden_size": 24}},
	{name: "cartridge", method: "cartridge"},
	{name: "cpt", method: "cpt", fields: map[string]any{
		"cpt_token_ids": []int{4, 7, 9, 11, 3, 7, 21, 30, 30}, "cpt_tokens_type_mask": []int{1, 2, 3, 4, 0, 6, 7, 8, 8},
		"opt_weighted_loss_type": "decay", "opt_loss_decay_factor": 0.7, "opt_projection_epsilon": 0.5, "opt_projection_format_epsilon": 0.25,
	}},
	{name: "cpt-plain", method: "cpt", fields: map[string]any{"cpt_token_ids": []int{4, 7, 9}, "cpt_tokens_type_mask": []int{2, 3, 4}, "opt_projection_epsilon": 8.5}},
	{name: "lora", method: "lora", always: true, fields: map[string]any{"r": 4, "lora_alpha": 2}},
	{name: "lora-all-linear", method: "lora", fields: map[string]any{"r": 4, "lora_alpha": 2, "target_modules": "all-linear"}},
	loraAllBiases,
	loraDora,
}

// TestLiveDecoder compares the decoders: every method in every task on the first; alone and under
// a prompt, a prefix and LoRA on the others, in every task on those that have the name of
// their model_type. The first of every model_type is trained as a
// language model, too.
func TestLiveDecoder(t *testing.T) {
	o := needOracle(t)
	for i, b := range decoderBases {
		t.Run(b.name, func(t *testing.T) {
			cases := decoderCases
			if b.name != b.arch {
				cases = cases[:1]
			}
			for _, c := range cases {
				if slices.Contains(lacking[b.arch], c.task) {
					continue
				}
				c.steps = i == slices.IndexFunc(decoderBases, func(other decoderBase) bool { return other.arch == b.arch })
				t.Run(c.name, func(t *testing.T) { decoderCase(t, o, c, b.arch, b.set, i == 0) })
			}
		})
	}
}

// trainedOn are the variants that a language model of every model_type is trained with: gradients go
// through all that it keeps of a prefix, and through all of its layers.
var trainedOn = []string{"prefix", "lora-all-linear", loraDora.name}

func decoderCase(t *testing.T, o *oracle, c taskCase, arch, set string, whole bool) {
	base := tinyDecoder(t, o, c.task, arch, set, "--num-labels", strconv.Itoa(max(c.labels, 1)))
	cell := cell{oracle: o, taskCase: c, base: base, folder: t.TempDir()}
	examples := drawExamples(c, base, seeded(5), 9, 2, 14)
	model := openBase(t, base.dir, models.HeadSpec{}, 0)
	if model.Task != c.task {
		t.Errorf("the config says %s, want %s", model.Task, c.task)
	}
	compareForward(t, c.ask(model.Forward), examples, cell.baseAnswers(t, examples))
	for _, v := range decoderVariants {
		if v.runsOn(arch, c, whole) {
			own := c
			own.steps = whole && c.task != models.FeatureExtraction || c.steps && c.task == models.CausalLM && slices.Contains(trainedOn, v.name)
			t.Run(v.name, func(t *testing.T) { roundTrip(t, o, own, base, v.sized(base.sizes)) })
		}
	}
}

// runsOn tells whether the variant runs on a decoder. LoRA runs on all linear layers of language
// models: in other tasks PEFT targets the head, too, which it cannot wrap twice.
func (v variant) runsOn(arch string, c taskCase, whole bool) bool {
	switch {
	case v.name == "lora-all-linear":
		return c.task == models.CausalLM
	case v.name == loraDora.name:
		return c.task == models.CausalLM && arch == "gpt2"
	case v.name == loraAllBiases.name:
		return c.task == models.CausalLM && slices.Contains([]string{"bloom", "gpt2", "gpt_neox", "opt", "qwen2"}, arch)
	case v.name == "lora" && slices.Contains(untargeted, arch):
		return false
	}
	return (whole || v.always) && c.takes(v.method)
}

// tinyDecoder makes a base.
func tinyDecoder(t *testing.T, o *oracle, task models.Task, arch, set string, more ...string) liveBase {
	t.Helper()
	base := liveBase{dir: t.TempDir(), vocab: 40, hidden: 24, decoder: true}
	if width, ok := decode[map[string]any](t, []byte(set))["word_embed_proj_dim"]; ok {
		base.sizes = map[string]any{"token_dim": width}
	}
	arguments := strings.Fields("--layers 2 --hidden 24 --heads 4 --intermediate 40 --vocab 40 --max-positions 40 --set")
	arguments = append(arguments, set, "--task", string(task), "--arch", arch)
	o.call(t, append(append([]string{"make-base", base.dir}, arguments...), more...)...)
	return base
}

// baseAnswers asks transformers of the base.
func (c cell) baseAnswers(t *testing.T, examples []example, more ...string) []answer {
	t.Helper()
	input, output := c.path("input.jsonl"), c.path("output.jsonl")
	writeLines(t, input, examples)
	c.oracle.call(t, append(append(c.arguments("forward", "--input", input, "--output", output), c.problem()...), more...)...)
	return readAnswers(t, output)
}

// TestLiveSmolLM2 compares a real decoder.
func TestLiveSmolLM2(t *testing.T) {
	o := needOracle(t)
	base := liveBase{dir: smolLM2(t), vocab: 49152, hidden: 576, real: true, decoder: true}
	c := taskCase{name: "CAUSAL_LM", task: models.CausalLM}
	cell := cell{oracle: o, taskCase: c, base: base, folder: t.TempDir()}
	examples := drawExamples(c, base, seeded(5), 40, 2)
	model := openBase(t, base.dir, models.HeadSpec{}, 0)
	want := cell.baseAnswers(t, examples, "--dtype", "float64")
	compareForward(t, c.ask(model.Forward), examples, want, differences(cell.baseAnswers(t, examples), want)...)
}

// TestLiveStories compares a small decoder that has really been trained. It writes what it does under llama2.c (test_all.py
// there), so the weights lie where they should.
func TestLiveStories(t *testing.T) {
	o, dir, base := needOracle(t), "../../shared/data/stories260K", filepath.Join(t.TempDir(), "stories")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the folder shared/data is not beside the repository")
	}
	o.call(t, "make-stories", filepath.Join(dir, "stories260K.bin"), base, "--tokenizer", filepath.Join(dir, "tok512.model"))
	tokenizer, err := tokenize.Load(hfio.Dir(base))
	if err != nil {
		t.Fatal(err)
	}
	ids := comparePrompts(t, o, base, tokenizer, "Once upon a time", "Tom and Lily went to the")
	const want = ", there was a little girl named Lily. She loved to play outside in the park."
	if got, err := tokenizer.Decode(ids, true); err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("found %q, %v, want %q", got, err, want)
	}
}

// smolLM2 returns the directory of SmolLM2-135M-Instruct.
func smolLM2(t *testing.T) string {
	t.Helper()
	printed, err := exec.Command("oracle/smollm2.sh").Output()
	if err != nil {
		t.Fatalf("oracle/smollm2.sh: %v", err)
	}
	return strings.TrimSpace(string(printed))
}
