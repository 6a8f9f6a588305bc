package compat_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

type seq2seqBase struct {
	name, arguments, set string
	trains               []string
}

// seq2seqBases are tiny encoder-decoders: the arguments of the oracle's make-base, and the
// methods that are trained on them. What MULTITASK_PROMPT_TUNING starts from is so small that
// T5's norms make much of its rounding.
var seq2seqBases = []seq2seqBase{
	{
		"t5", "--arch t5 --layers 4", `{"d_ff": 40, "d_kv": 8, "num_decoder_layers": 4, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 9, "decoder_start_token_id": 0}`,
		[]string{"prompt", "ptuning-lstm", "prefix", "prefix-projection", "cartridge", "lora"},
	},
	{"mt5", "--arch mt5 --layers 3 --untied", `{"d_ff": 40, "d_kv": 8, "num_decoder_layers": 2}`, nil},
	{
		"bart", "--arch bart --layers 3", `{"decoder_layers": 3, "encoder_ffn_dim": 40, "decoder_ffn_dim": 32, "decoder_attention_heads": 3, "scale_embedding": true}`,
		[]string{"prompt", "prefix", "multitask"},
	},
	{"mbart", "--arch mbart --layers 2", `{"decoder_layers": 2, "encoder_ffn_dim": 40, "decoder_ffn_dim": 32, "decoder_attention_heads": 3, "decoder_start_token_id": 2}`, nil},
	// The fields of moussaKam/barthez, of which today's transformers reads few.
	{"barthez", "--arch mbart --layers 2", `{"decoder_layers": 2, "encoder_ffn_dim": 40, "decoder_ffn_dim": 40, "decoder_attention_heads": 3, "decoder_start_token_id": 2, "activation_dropout": 0.0, "add_bias_logits": false,
		"add_final_layer_norm": true, "classif_dropout": 0.1, "classifier_dropout": 0.0, "do_blenderbot_90_layernorm": false, "extra_pos_embeddings": 2, "force_bos_token_to_be_generated": false, "normalize_before": true,
		"normalize_embedding": true, "scale_embedding": false, "static_position_embeddings": false, "tokenizer_class": "BarthezTokenizer"}`, nil},
	{"pegasus", "--arch pegasus --layers 2", `{"decoder_layers": 2, "encoder_ffn_dim": 40, "decoder_ffn_dim": 32, "decoder_attention_heads": 3, "scale_embedding": true}`, nil},
}

var seq2seqVariants = []variant{
	{name: "prompt", method: "prompt", always: true},
	{name: "ptuning-lstm", method: "ptuning-lstm", fields: map[string]any{"encoder_hidden_size": 12}},
	{name: "prefix", method: "prefix", always: true},
	{name: "prefix-projection", method: "prefix-projection", fields: map[string]any{"encoder_hidden_size": 24}},
	{name: "cartridge", method: "cartridge"},
	{name: "multitask", method: "multitask", always: true},
	{name: "lora", method: "lora", fields: map[string]any{"r": 4, "lora_alpha": 2}},
}

// TestLiveSeq2Seq compares encoder-decoders: the round trip of methods that are trained,
// and of some that are loaded, on all. The numbers of layers decide which rows of a prefix have an effect.
func TestLiveSeq2Seq(t *testing.T) {
	o := needOracle(t)
	for _, b := range seq2seqBases {
		t.Run(b.name, func(t *testing.T) {
			base := tinySeq2Seq(t, o, models.Seq2SeqLM, b.arguments, b.set)
			c := taskCase{name: "SEQ_2_SEQ_LM", task: models.Seq2SeqLM}
			c.shift = openBase(t, base.dir, models.HeadSpec{}, 0).Backbone.(models.EncoderDecoder).ShiftRight
			for _, v := range seq2seqVariants {
				if strings.Contains(b.arguments, "mbart") && v.method == "multitask" {
					continue // PEFT shifts labels as BART does, which is not what mBART reads
				}
				if c.steps = slices.Contains(b.trains, v.method); c.steps || v.always {
					t.Run(v.name, func(t *testing.T) { roundTrip(t, o, c, base, v) })
				}
			}
		})
	}
}

// seq2seqTasks are encoder-decoders in their other tasks, with the methods that PEFT runs
// there: a prompt stands before what the encoder reads, and a head that PEFT does not know is
// frozen unless modules_to_save names it.
var seq2seqTasks = []struct {
	name, base string
	taskCase
	end        int  // the token at which classifiers read the decoder
	decoderIDs bool // PEFT wants them
	variants   []variant
}{
	{"t5 classifies", "t5", classes, 1, false, []variant{loraFrozenHead, {name: "lora", method: "lora", fields: map[string]any{"modules_to_save": []string{"classification_head"}}}}},
	{"t5 tags", "t5", tags, 0, false, []variant{{name: "prompt", method: "prompt"}, {name: "ptuning-mlp", method: "ptuning-mlp"}, {name: "multitask", method: "multitask"}, {name: "lora", method: "lora"}}},
	{"t5 answers", "t5", spans, 0, false, []variant{{name: "lora", method: "lora"}}},
	{"t5 answers what its decoder reads", "t5", spans, 0, true, []variant{{name: "prompt", method: "prompt"}}},
	{"t5 has features", "t5", features, 0, true, []variant{{name: "ptuning-lstm", method: "ptuning-lstm"}, {name: "lora", method: "lora"}}},
	{"mt5 tags", "mt5", tags, 0, false, []variant{{name: "prompt", method: "prompt"}}},
	{"bart classifies", "bart", classes, 2, false, []variant{loraFrozenHead, {name: "lora", method: "lora", fields: map[string]any{"modules_to_save": []string{"classification_head"}, "target_modules": []string{"v_proj", "out_proj"}}}, loraAllBiases}},
	{"bart answers", "bart", spans, 0, false, []variant{{name: "lora", method: "lora"}}},
	{"bart answers what its decoder reads", "bart", spans, 0, true, []variant{{name: "ptuning-mlp", method: "ptuning-mlp"}}},
	{"bart has features", "bart", features, 0, false, []variant{{name: "lora", method: "lora"}}},
	{"mbart classifies", "mbart", classes, 2, false, []variant{loraFrozenHead, loraAllBiases, loraAllBiases.with(map[string]any{"modules_to_save": []string{"classification_head"}})}},
	{"mbart answers", "mbart", spans, 0, false, []variant{{name: "lora", method: "lora", fields: map[string]any{"target_modules": []string{"q_proj", "fc2"}}}}},
	{"barthez classifies", "barthez", classes, 2, false, []variant{loraFrozenHead}},
	{"mbart has features", "mbart", features, 0, true, []variant{{name: "prompt", method: "prompt"}}},
	{"pegasus has features", "pegasus", features, 0, true, []variant{{name: "prompt", method: "prompt"}}},
}

var (
	classes  = taskCase{name: "SEQ_CLS", task: models.SeqCls, kind: models.SingleLabel, labels: 3, steps: true}
	tags     = taskCase{name: "TOKEN_CLS", task: models.TokenCls, labels: 3, steps: true}
	spans    = taskCase{name: "QUESTION_ANS", task: models.QuestionAns, labels: 2, steps: true}
	features = taskCase{name: "FEATURE_EXTRACTION", task: models.FeatureExtraction, steps: true}

	// Its targets are layers of the head, too.
	loraFrozenHead = variant{name: "lora-frozen-head", method: "lora", fields: map[string]any{"target_modules": []string{"q", "q_proj", "out_proj"}}}
)

// shallow makes of a language model's arguments those of two layers: with four, torch's own
// float32 is farther from its float64 than the project's bar.
var shallow = strings.NewReplacer("--untied", "", "--layers 4", "--layers 2", `"num_decoder_layers": 4`, `"num_decoder_layers": 2`)

// TestLiveSeq2SeqTasks compares them: round trips, and training.
func TestLiveSeq2SeqTasks(t *testing.T) {
	o := needOracle(t)
	for _, c := range seq2seqTasks {
		t.Run(c.name, func(t *testing.T) {
			at := slices.IndexFunc(seq2seqBases, func(b seq2seqBase) bool { return b.name == c.base })
			arguments, set := shallow.Replace(seq2seqBases[at].arguments), shallow.Replace(seq2seqBases[at].set)
			base := tinySeq2Seq(t, o, c.task, arguments, set, "--num-labels", strconv.Itoa(max(c.labels, 1)))
			base.end, base.decoderIDs, base.decoder = c.end, c.decoderIDs, true
			if c.shift = nil; c.decoderIDs {
				c.shift = openBase(t, base.dir, models.HeadSpec{}, 0).Backbone.(models.EncoderDecoder).ShiftRight
			}
			for _, v := range c.variants {
				t.Run(v.name, func(t *testing.T) { roundTrip(t, o, c.taskCase, base, v) })
			}
		})
	}
}

// seq2seqRefusals is what PEFT says to methods in tasks in which it does not run them.
var seq2seqRefusals = []struct {
	base, method, says string
	taskCase
}{
	{"t5", "prompt", "Passing input embeddings is currently not supported for T5ForSequenceClassification", classes},
	{"bart", "ptuning-mlp", "Passing input embeddings is currently not supported for BartForSequenceClassification", classes},
	{"bart", "prefix", "no attribute 'cls_layer_name'", classes},
	{"t5", "prefix", noPast, tags},
	{"bart", "cartridge", "no attribute 'hidden_states'", spans},
}

// TestLiveSeq2SeqRefusals wants PEFT to refuse them, and gopeft too.
func TestLiveSeq2SeqRefusals(t *testing.T) {
	o := needOracle(t)
	types := map[string]hfio.PeftType{"prompt": hfio.PromptTuning, "ptuning-mlp": hfio.PTuning, "prefix": hfio.PrefixTuning, "cartridge": hfio.Cartridge}
	for _, c := range seq2seqRefusals {
		t.Run(c.base+" "+c.name+" "+c.method, func(t *testing.T) {
			at := slices.IndexFunc(seq2seqBases, func(b seq2seqBase) bool { return b.name == c.base })
			base, made := tinySeq2Seq(t, o, c.task, seq2seqBases[at].arguments, seq2seqBases[at].set), filepath.Join(t.TempDir(), "made")
			input := filepath.Join(t.TempDir(), "input.jsonl")
			writeLines(t, input, []example{{IDs: []int{3, 4, 1, 2}}})
			model := []string{"--base", base.dir, "--task", string(c.task)}
			o.call(t, append([]string{"make-adapter", "--method", c.method, "--out", made}, model...)...)
			said := o.ask(t, append([]string{"forward", "--adapter", made, "--input", input, "--output", input + ".out"}, model...)...)
			if !strings.Contains(said, c.says) {
				t.Errorf("PEFT says %q, want %q", said, c.says)
			}
			config := hfio.NewAdapterConfig(types[c.method])
			config.TaskType, config.NumVirtualTokens = hfio.TaskType(c.task), virtualTokens
			_, err := adapters.New(openBase(t, base.dir, models.HeadSpec{}, 0), config, adapters.Init{Rand: seeded(1)})
			var field *hfio.FieldError
			if !errors.As(err, &field) || field.Field != "task_type" {
				t.Errorf("gopeft says %v, want an error of task_type", err)
			}
		})
	}
}

// tinySeq2Seq makes a base.
func tinySeq2Seq(t *testing.T, o *oracle, task models.Task, arguments, set string, more ...string) liveBase {
	t.Helper()
	base := liveBase{dir: t.TempDir(), vocab: 40, hidden: 24}
	sizes := strings.Fields("--hidden 24 --heads 3 --vocab 40 --max-positions 40 --task " + string(task))
	o.call(t, append(append([]string{"make-base", base.dir, "--set", set}, append(strings.Fields(arguments), sizes...)...), more...)...)
	if strings.Contains(set, "Barthez") {
		repeatWords(t, base.dir)
	}
	return base
}

// repeatWords gives a checkpoint the copies of its word embeddings that older transformers wrote.
func repeatWords(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, hfio.ModelWeightsFile)
	file := openTensors(t, path)
	words, ok := file.Tensor("model.shared.weight")
	if !ok { // a model without a head
		words, ok = file.Tensor("shared.weight")
	}
	if !ok {
		t.Fatal("the checkpoint has no shared.weight")
	}
	prefix := strings.TrimSuffix(words.Name, "shared.weight")
	for _, name := range []string{"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"} {
		words.Name = prefix + name
		file.Tensors = append(file.Tensors, words)
	}
	data, err := hfio.EncodeSafeTensors(file.Metadata, file.Tensors)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
