package compat_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// configChanges are configs as other programs and older releases wrote them: of a model that is
// made with set, with other values of fields, null for none.
var configChanges = []struct {
	name, arch string
	task       models.Task
	set        string
	change     string
}{
	{"yarn, original length outside", "llama", models.CausalLM, `{"head_dim": 12}`, `{"original_max_position_embeddings": 5, "rope_parameters": null, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}`},
	{"yarn, null for truncate", "llama", models.CausalLM, `{"head_dim": 12}`, `{"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 10, "truncate": null, "beta_fast": 2, "beta_slow": 0.1}}`},
	{"llama3, original length outside", "qwen2", models.CausalLM, `{"num_key_value_heads": 2}`, `{"original_max_position_embeddings": 6, "rope_parameters": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 500.0}}`},
	{"longrope, original length outside", "mistral", models.CausalLM, `{"head_dim": 6, "num_key_value_heads": 2}`, `{"original_max_position_embeddings": 5, "rope_parameters": null, "rope_scaling": {"rope_type": "longrope", "short_factor": [1.0, 1.5, 2.0], "long_factor": [2.0, 4.0, 3.0]}}`},
	{"yarn, original length outside", "gpt_neox", models.CausalLM, `{"rotary_pct": 1.0}`, `{"original_max_position_embeddings": 3, "rope_parameters": null, "rotary_pct": 1.0, "rope_scaling": {"type": "yarn", "factor": 4.0}}`},
	{"types of layers, original length outside", "gemma3_text", models.CausalLM, `{"num_key_value_heads": 2, "head_dim": 8, "sliding_window_pattern": 2}`, `{"original_max_position_embeddings": 5, "rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 3.0}, "sliding_attention": {"rope_theta": 20.0}}}`},
	{"two names of sizes", "gpt2", models.CausalLM, `{}`, `{"num_attention_heads": 4, "num_hidden_layers": 2}`},
	{"other names of sizes", "bart", models.Seq2SeqLM, `{"encoder_layers": 2, "decoder_layers": 2, "decoder_attention_heads": 3, "encoder_ffn_dim": 40, "decoder_ffn_dim": 40}`, `{"encoder_attention_heads": null, "num_attention_heads": 4, "encoder_layers": null, "num_hidden_layers": 2}`},
	{"other names of sizes", "distilbert", models.SeqCls, `{"hidden_dim": 40}`, `{"n_heads": null, "num_attention_heads": 4, "n_layers": null, "num_hidden_layers": 2, "dim": null, "hidden_size": 24}`},
}

// TestLiveConfigs wants transformers' numbers of them.
func TestLiveConfigs(t *testing.T) {
	o := needOracle(t)
	for _, change := range configChanges {
		t.Run(change.arch+" "+change.name, func(t *testing.T) {
			base := tinyDecoder(t, o, change.task, change.arch, change.set)
			changeConfig(t, base.dir, change.change)
			c := cell{oracle: o, taskCase: taskCase{name: string(change.task), task: change.task}, base: base, folder: t.TempDir()}
			model := openBase(t, base.dir, models.HeadSpec{}, 0)
			switch change.task {
			case models.Seq2SeqLM:
				c.shift = model.Backbone.(models.EncoderDecoder).ShiftRight
			case models.SeqCls:
				c.kind, c.labels = models.SingleLabel, 3
			}
			examples := drawExamples(c.taskCase, base, seeded(5), 9, 2, 14)
			compareForward(t, c.ask(model.Forward), examples, c.baseAnswers(t, examples))
		})
	}
}

// changeConfig gives fields of a model's config.json other values; null takes them away.
func changeConfig(t *testing.T, dir, change string) {
	t.Helper()
	path := filepath.Join(dir, hfio.ModelConfigFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config := decode[map[string]json.RawMessage](t, data) // 0.0 is no 0 to transformers
	for field, value := range decode[map[string]json.RawMessage](t, []byte(change)) {
		if config[field] = value; string(value) == "null" {
			delete(config, field)
		}
	}
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
