package adapters_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

func forward(t testing.TB, run func(models.Batch) (mat.Tensor, models.Output, error), batch models.Batch) []float32 {
	t.Helper()
	logits, out, err := run(batch)
	if err != nil {
		t.Fatal(err)
	}
	if logits == nil {
		logits = out.Hidden
	}
	return slices.Clone(kernel.Data(logits))
}

// openFile reads an adapter of testdata, to be changed by the test.
func openFile(t testing.TB, name string) *hfio.Adapter {
	t.Helper()
	file, err := hfio.OpenAdapter(hfio.Dir(filepath.Join("testdata", name)), &hfio.OpenOptions{NoMap: true})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func without(file *hfio.Adapter, name string) {
	file.Tensors = slices.DeleteFunc(file.Tensors, func(t hfio.Tensor) bool { return t.Name == name })
}

func with(file *hfio.Adapter, t hfio.Tensor) {
	without(file, t.Name)
	file.Tensors = append(file.Tensors, t)
}

func zeros(name string, shape ...int) hfio.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return hfio.NewFloat32(name, shape, make([]float32, n))
}

func TestMisfitListsEveryDifference(t *testing.T) {
	base := openBase(t, models.TokenCls)
	file := openFile(t, "prefix-seq_cls")
	file.Config.TokenDim, file.Config.NumLayers, file.Config.NumAttentionHeads = 24, 4, 3
	with(file, zeros("prompt_embeddings", 3, 192))
	_, err := adapters.FromFile(file, base)
	want := []adapters.Mismatch{
		{Field: "task_type", Adapter: "SEQ_CLS", Base: "TOKEN_CLS"},
		{Field: "token_dim", Adapter: "24", Base: "16"},
		{Field: "num_attention_heads", Adapter: "3", Base: "2"},
		{Field: "num_layers", Adapter: "4", Base: "2"},
		{Field: "prompt_embeddings", Adapter: "[3 192]", Base: "[3 64]"},
	}
	var misfit *adapters.MismatchError
	if !errors.As(err, &misfit) || !errors.Is(err, adapters.ErrMismatch) {
		t.Fatalf("error is %v", err)
	}
	if diff := cmp.Diff(want, misfit.Mismatches); diff != "" {
		t.Errorf("mismatches (-want +got):\n%s", diff)
	}
	if text := err.Error(); !strings.Contains(text, "token_dim is 24 in the adapter, 16 in the base") {
		t.Errorf("error reads %q", text)
	}
}

func TestMisfitOfHead(t *testing.T) {
	file := openFile(t, "prompt-seq_cls")
	with(file, zeros("base_model.classifier.weight", 6, 16))
	with(file, zeros("base_model.classifier.bias", 6))
	_, err := adapters.FromFile(file, openBase(t, models.SeqCls))
	var misfit *adapters.MismatchError
	if !errors.As(err, &misfit) || len(misfit.Mismatches) != 2 {
		t.Fatalf("error is %v", err)
	}
	if got := adapters.NumLabels(file); got != 6 {
		t.Errorf("NumLabels() = %d, want 6", got)
	}
}

func TestLoadReportsEverything(t *testing.T) {
	tests := []struct {
		name   string
		change func(*hfio.Adapter)
		is     error
		reads  string
	}{
		{"head missing", func(f *hfio.Adapter) {
			without(f, "base_model.classifier.weight")
			without(f, "base_model.classifier.bias")
		}, adapters.ErrMissingHead, "0.15.2"},
		{"prompt missing", func(f *hfio.Adapter) { without(f, "prompt_embeddings") }, hfio.ErrNotFound, "prompt_embeddings"},
		{"unknown method", func(f *hfio.Adapter) { f.Config.PeftType = "IA3" }, adapters.ErrUnknownMethod, "IA3"},
		{"no virtual tokens", func(f *hfio.Adapter) { f.Config.NumVirtualTokens = 0 }, adapters.ErrConfig, "num_virtual_tokens"},
		{"part of the base", func(f *hfio.Adapter) {
			with(f, zeros("base_model.bert.embeddings.word_embeddings.weight", 41, 16))
		}, hfio.ErrUnsupported, "word_embeddings"},
		{"integers", func(f *hfio.Adapter) {
			with(f, hfio.Tensor{Name: "prompt_embeddings", DType: hfio.I64, Shape: []int{3, 16}, Data: make([]byte, 3*16*8)})
		}, hfio.ErrDType, "I64"},
		{"too long", func(f *hfio.Adapter) {
			f.Config.NumVirtualTokens = 32
			with(f, zeros("prompt_embeddings", 32, 16))
		}, adapters.ErrMismatch, "num_virtual_tokens"},
		{"side file", func(f *hfio.Adapter) { f.Info = []byte("{") }, hfio.ErrFormat, "gopeft.json"},
	}
	base := openBase(t, models.SeqCls)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := openFile(t, "prompt-seq_cls")
			test.change(file)
			_, err := adapters.FromFile(file, base)
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.reads) {
				t.Errorf("error is %v, want %v about %s", err, test.is, test.reads)
			}
		})
	}
}

// TestLoadTakesWhatPEFTTakes: none of these changes an answer in PEFT 0.21.2.
func TestLoadTakesWhatPEFTTakes(t *testing.T) {
	changes := map[string]func(*hfio.Adapter){
		"unknown init":      func(f *hfio.Adapter) { f.Config.PromptTuningInit = "FANCY" },
		"sizes left open":   func(f *hfio.Adapter) { f.Config.TokenDim, f.Config.NumLayers, f.Config.NumAttentionHeads = 0, 0, 0 },
		"unused sizes":      func(f *hfio.Adapter) { f.Config.NumLayers, f.Config.NumAttentionHeads = 9, 5 },
		"no submodules":     func(f *hfio.Adapter) { f.Config.NumTransformerSubmodules = 0 },
		"modules once":      func(f *hfio.Adapter) { f.Config.ModulesToSave = nil },
		"for training":      func(f *hfio.Adapter) { f.Config.InferenceMode = false },
		"other base name":   func(f *hfio.Adapter) { f.Config.BaseModelNameOrPath = "elsewhere" },
		"extra tensor":      func(f *hfio.Adapter) { with(f, zeros("something.else", 2)) },
		"no metadata":       func(f *hfio.Adapter) { f.Metadata = nil },
		"other task's head": func(f *hfio.Adapter) { with(f, zeros("base_model.qa_outputs.bias", 2)) },
	}
	base := openBase(t, models.SeqCls)
	batch := models.Batch{Sequences: inputs}
	want := forward(t, loadGolden(t, "prompt-seq_cls", base).Forward, batch)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			file := openFile(t, "prompt-seq_cls")
			change(file)
			m, err := adapters.FromFile(file, base)
			if err != nil {
				t.Fatal(err)
			}
			numtest.SameBits(t, forward(t, m.Forward, batch), want)
			saved, err := m.File()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(file.Tensors, saved.Tensors); diff != "" {
				t.Errorf("tensors changed: %s", diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	base := openBase(t, models.SeqCls)
	set := func(name string, change func(*hfio.AdapterConfig)) hfio.AdapterConfig {
		c := variants[name](3, 5)
		change(&c)
		return c
	}
	tests := map[string]hfio.AdapterConfig{
		"task_type":                       set("prompt", func(c *hfio.AdapterConfig) { c.TaskType = "" }),
		"num_virtual_tokens":              set("prompt", func(c *hfio.AdapterConfig) { c.NumVirtualTokens = 0 }),
		"prompt_tuning_init":              set("prompt", func(c *hfio.AdapterConfig) { c.PromptTuningInit = "FANCY" }),
		"prompt_tuning_init_text":         set("prompt", func(c *hfio.AdapterConfig) { c.PromptTuningInit = "TEXT" }),
		"tokenizer_kwargs":                set("prompt", func(c *hfio.AdapterConfig) { c.TokenizerKwargs = []byte("{}") }),
		"modules_to_save":                 set("prompt", func(c *hfio.AdapterConfig) { c.ModulesToSave = []string{"pooler"} }),
		"encoder_reparameterization_type": set("ptuning-mlp", func(c *hfio.AdapterConfig) { c.EncoderReparameterizationType = "GRU" }),
		"encoder_dropout":                 set("ptuning-lstm", func(c *hfio.AdapterConfig) { c.EncoderDropout = 1 }),
		"encoder_num_layers":              set("ptuning-lstm", func(c *hfio.AdapterConfig) { c.EncoderNumLayers = -1 }),
		"encoder_hidden_size":             set("prefix-projection", func(c *hfio.AdapterConfig) { c.EncoderHiddenSize = 1 << 40 }),
		"init_weights":                    set("prefix", func(c *hfio.AdapterConfig) { c.InitWeights = "one" }),
		"token_dim":                       set("prompt", func(c *hfio.AdapterConfig) { c.TokenDim = 24 }),
	}
	for field, c := range tests {
		t.Run(field, func(t *testing.T) {
			_, err := adapters.New(base, c, adapters.Init{Rand: rand.New(rand.NewPCG(1, 1)), TextIDs: []int{5}})
			if err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("error is %v, want one about %s", err, field)
			}
		})
	}
}

// TestNoTaskNoPrompt: PEFT takes the head and leaves the prompt out.
func TestNoTaskNoPrompt(t *testing.T) {
	base := openBase(t, models.SeqCls)
	m := loadGolden(t, "prompt-null", base)
	batch := models.Batch{Sequences: inputs[:1]}
	logits, _, err := m.Forward(batch)
	if err != nil {
		t.Fatal(err)
	}
	out, err := base.Backbone.Forward(batch)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := m.Head.Forward(out, nil)
	if err != nil {
		t.Fatal(err)
	}
	numtest.SameBits(t, models.Values(logits), models.Values(alone))
	found := adapters.Validate(openFile(t, "prompt-null"), nil)
	if len(found) != 1 || found[0].Field != "task_type" || found[0].Severity != adapters.Warning {
		t.Errorf("Validate() = %v, want a warning about task_type", found)
	}
}

// TestEncoderOfOtherWeights: someone wrote the weights since the side file was made.
func TestEncoderOfOtherWeights(t *testing.T) {
	base := openBase(t, models.SeqCls)
	m := create(t, base, variants["ptuning-mlp"](3, 5), adapters.Init{})
	file, err := m.File()
	if err != nil {
		t.Fatal(err)
	}
	if findings := adapters.Validate(file, nil); len(findings) != 0 {
		t.Errorf("Validate() = %v, want nothing", findings)
	}
	with(file, zeros("prompt_embeddings", 3, 16))
	loaded, err := adapters.FromFile(file, base)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Adapter.Continuable() {
		t.Error("an encoder that made another prompt is used")
	}
	if prompt, _ := loaded.Adapter.Stored(); string(prompt[0].Data) != string(make([]byte, 3*16*4)) {
		t.Error("the prompt is not the stored one")
	}
	findings := adapters.Validate(file, nil)
	if len(findings) != 1 || findings[0].Field != hfio.StateFile {
		t.Errorf("Validate() = %v, want a warning about %s", findings, hfio.StateFile)
	}
}

// TestBrokenEncoder: the side file claims these weights and lacks a tensor.
func TestBrokenEncoder(t *testing.T) {
	base := openBase(t, models.SeqCls)
	file, err := create(t, base, variants["ptuning-lstm"](3, 5), adapters.Init{}).File()
	if err != nil {
		t.Fatal(err)
	}
	file.State = &hfio.SafeTensors{Metadata: file.State.Metadata, Tensors: file.State.Tensors[1:]}
	_, err = adapters.FromFile(file, base)
	if !errors.Is(err, hfio.ErrNotFound) || !strings.Contains(err.Error(), "encoder.embedding.weight") {
		t.Errorf("error is %v, want one about encoder.embedding.weight", err)
	}
}

func TestSharedBaseHasOneHeadAnAdapter(t *testing.T) {
	base := openBase(t, models.SeqCls)
	batch := models.Batch{Sequences: inputs}
	first, second := loadGolden(t, "prompt-seq_cls", base), loadGolden(t, "prefix-seq_cls", base)
	before := forward(t, second.Forward, batch)
	for _, p := range first.Head.Params() {
		clear(kernel.Data(p.Param))
	}
	numtest.SameBits(t, forward(t, second.Forward, batch), before)
	if slices.ContainsFunc(forward(t, first.Forward, batch), func(v float32) bool { return v != 0 }) {
		t.Error("a head of zeros gives other logits than 0")
	}
}

// TestRowsOfWordsEqualWords: a prompt made of word embeddings is the text that
// those words are.
func TestRowsOfWordsEqualWords(t *testing.T) {
	base := openBase(t, models.TokenCls)
	c := variants["prompt"](3, 0)
	c.TaskType, c.PromptTuningInit, c.PromptTuningInitText, c.TokenizerNameOrPath = hfio.TokenCls, "TEXT", "x", "base"
	words := []int{2, 9, 30}
	m := create(t, base, c, adapters.Init{TextIDs: words})
	ids := []int{14, 22, 3}
	got := forward(t, m.Forward, models.Batch{Sequences: []models.Sequence{{IDs: ids}}})
	want := forward(t, base.Forward, models.Batch{Sequences: []models.Sequence{{IDs: append(words, ids...)}}})
	numtest.Close(t, got, want, 1e-6, 1e-6)
}

func TestInfoIsKept(t *testing.T) {
	base := openBase(t, models.SeqCls)
	file := openFile(t, "prompt-seq_cls")
	file.Info = []byte(`{"labels": ["a", "b", "c"], "max_length": 12, "of_a_newer_version": {"x": [1]}}`)
	m, err := adapters.FromFile(file, base)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := m.File()
	if err != nil || string(saved.Info) != string(file.Info) {
		t.Errorf("unchanged, gopeft.json is %s (%v)", saved.Info, err)
	}
	m.Info.MaxLength = 13
	saved, err = m.File()
	want := "{\n  \"labels\": [\n    \"a\",\n    \"b\",\n    \"c\"\n  ],\n  \"max_length\": 13,\n  \"of_a_newer_version\": {\n    \"x\": [\n      1\n    ]\n  }\n}\n"
	if err != nil || string(saved.Info) != want {
		t.Errorf("changed, gopeft.json is %s (%v), want %s", saved.Info, err, want)
	}
}
