package adapters_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

func TestValidate(t *testing.T) {
	shape := openBase(t, models.SeqCls).Backbone.Shape()
	narrow := shape
	narrow.Embedding = 8
	grouped := shape
	grouped.KVHeads = 1
	uncached := shape
	uncached.PEFT = models.PEFTLimits{NoPast: true, NoSizes: true}
	none := func(*hfio.Adapter) {}
	tests := []struct {
		name     string
		file     string
		change   func(*hfio.Adapter)
		base     *models.Shape
		severity adapters.Severity
		field    string
		reads    string
	}{
		{"unknown method", "prompt-seq_cls", func(f *hfio.Adapter) { f.Config.PeftType = "IA3" }, nil, adapters.Error, "peft_type", "IA3"},
		{"no task", "prompt-null", none, nil, adapters.Warning, "task_type", "no effect"},
		{"no head", "prompt-seq_cls", func(f *hfio.Adapter) {
			without(f, "base_model.classifier.weight")
			without(f, "base_model.classifier.bias")
		}, nil, adapters.Warning, hfio.AdapterWeightsFile, "0.15.2"},
		{"no prompt", "prompt-seq_cls", func(f *hfio.Adapter) { without(f, "prompt_embeddings") }, nil, adapters.Error, "prompt_embeddings", "not found"},
		{"shape by config", "prefix-seq_cls", func(f *hfio.Adapter) { f.Config.NumVirtualTokens = 4 }, nil, adapters.Error, "prompt_embeddings", "want [4 64]"},
		{"shape by base", "prefix-seq_cls", func(f *hfio.Adapter) { with(f, zeros("prompt_embeddings", 3, 60)) }, &shape, adapters.Error, "prompt_embeddings", "[3 64]"},
		{"narrow embeddings", "prompt-seq_cls", none, &narrow, adapters.Error, "token_dim", "16 in the adapter, 8 in the base"},
		{"narrow embeddings in Python", "prompt-seq_cls", func(f *hfio.Adapter) { f.Config.TokenDim = 0 }, &narrow, adapters.Error, "token_dim", "Python PEFT"},
		{"no cache in Python", "prefix-seq_cls", none, &uncached, adapters.Error, "peft_type", "no past_key_values"},
		{"no sizes in Python", "prompt-seq_cls", func(f *hfio.Adapter) { f.Config.NumAttentionHeads = 0 }, &uncached, adapters.Error, "num_attention_heads", "Python PEFT"},
		{"old grouped prefix", "prefix-seq_cls", none, &grouped, adapters.Error, "prompt_embeddings", "PEFT 0.12"},
		{"unused size", "prompt-seq_cls", func(f *hfio.Adapter) { f.Config.NumLayers = 7 }, &shape, adapters.Note, "num_layers", "does not use"},
		{"text without tokenizer", "text-cut", func(f *hfio.Adapter) { f.Config.TokenizerNameOrPath = "" }, nil, adapters.Error, "prompt_tuning_init", "refuses"},
		{"unknown init", "prompt-seq_cls", func(f *hfio.Adapter) { f.Config.PromptTuningInit = "X" }, nil, adapters.Note, "prompt_tuning_init", "RANDOM"},
		{"unknown zero", "prefix-seq_cls", func(f *hfio.Adapter) { f.Config.InitWeights = "one" }, nil, adapters.Note, "init_weights", "one"},
		{"all tokens frozen", "cartridge-seq_cls", func(f *hfio.Adapter) { f.Config.NumFrozenTokens = 3 }, nil, adapters.Note, "num_frozen_tokens", "changes none"},
		{"too many frozen", "cartridge-seq_cls", func(f *hfio.Adapter) { f.Config.NumFrozenTokens = 4 }, nil, adapters.Error, "num_frozen_tokens", "refuses"},
		{"without a task's matrix", "multitask-seq_cls", func(f *hfio.Adapter) { without(f, "prefix_task_cols") }, &shape, adapters.Error, "prefix_task_cols", "not found"},
		{"matrix of other ranks", "multitask-seq_cls", func(f *hfio.Adapter) { f.Config.NumRanks = 3 }, nil, adapters.Error, "prefix_task_rows", "[2 2 16], want [2 3 16]"},
		{"task without task ids", "multitask-seq_cls", func(f *hfio.Adapter) { f.Config.TaskType = hfio.FeatureExtraction }, nil, adapters.Error, "task_type", "no task ids"},
		{"a source that PEFT reads", "multitask-average", none, nil, adapters.Note, "prompt_tuning_init_state_dict_path", "again"},
		{"two targets", "multitask-average", func(f *hfio.Adapter) { f.Config.NumTasks = 2 }, nil, adapters.Error, "num_tasks", "want 1 with init AVERAGE_SOURCE_TASKS"},
		{"extra tensor", "prompt-float16", none, nil, adapters.Note, "extra.counter", "ignores"},
		{"extra key", "prompt-seq_cls", func(f *hfio.Adapter) { f.Config.Unknown = map[string]json.RawMessage{"x": json.RawMessage("1")} }, nil, adapters.Note, "x", "0.14"},
		{"part of the base", "prompt-seq_cls", func(f *hfio.Adapter) { with(f, zeros("base_model.bert.pooler.dense.bias", 16)) }, nil, adapters.Warning, "base_model.bert.pooler.dense.bias", "replaces"},
		{"infinite", "prompt-seq_cls", func(f *hfio.Adapter) {
			with(f, hfio.NewFloat32("base_model.classifier.bias", []int{3}, []float32{0, float32(math.Inf(1)), 0}))
		}, nil, adapters.Warning, "base_model.classifier.bias", "infinite"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := openFile(t, test.file)
			test.change(file)
			found := adapters.Validate(file, test.base)
			for _, f := range found {
				if f.Severity == test.severity && f.Field == test.field && strings.Contains(f.Message, test.reads) {
					return
				}
			}
			t.Errorf("Validate() = %v, want %s: %s: …%s…", found, test.severity, test.field, test.reads)
		})
	}
}

// TestFindings: what Load reports together is said one by one; a broken side file is one problem of two kinds.
func TestFindings(t *testing.T) {
	base := openBase(t, models.SeqCls)
	load := func(change func(*hfio.Adapter)) error {
		file := openFile(t, "prompt-seq_cls")
		change(file)
		_, err := adapters.FromFile(file, base)
		return err
	}
	fields := func(err error) string {
		var names []string
		for _, f := range adapters.Findings(err) {
			names = append(names, string(f.Severity)+" "+f.Field)
		}
		return strings.Join(names, ", ")
	}
	if got := fields(nil); got != "" {
		t.Errorf("of no error: found %s", got)
	}
	many := load(func(f *hfio.Adapter) {
		without(f, "base_model.classifier.weight")
		with(f, zeros("prompt_embeddings", 32, 8))
		f.Config.NumVirtualTokens, f.Config.TokenDim = 32, 8
	})
	if got, want := fields(many), "error adapter_model.safetensors, error token_dim, error num_virtual_tokens, error prompt_embeddings"; got != want {
		t.Errorf("found %s, want %s, of %v", got, want, many)
	}
	if one := load(func(f *hfio.Adapter) { f.Info = []byte("{") }); len(adapters.Findings(one)) != 1 {
		t.Errorf("found %v, want one of %v", adapters.Findings(one), one)
	}
}

// TestValidateIsSilentOnPEFTsFiles: there is nothing to say about what PEFT writes.
func TestValidateIsSilentOnPEFTsFiles(t *testing.T) {
	for name, task := range goldens(t) {
		if name == "prompt-null" || strings.HasPrefix(name, "prompt-") && strings.Contains(name, "float") {
			continue
		}
		shape := openBase(t, task).Backbone.Shape()
		for _, base := range []*models.Shape{nil, &shape} {
			file := openFile(t, name)
			for _, finding := range adapters.Validate(file, base) {
				if finding.Field != "prompt_tuning_init_state_dict_path" || file.Config.PromptTuningInitStateDictPath == "" {
					t.Errorf("%s: Validate() has %v", name, finding)
				}
			}
		}
	}
}
