package compat_test

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/generate"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// generated is a line of the oracle's answers: ids without the prompt, and the scores of a
// beam search.
type generated struct {
	Sequences [][]int
	Scores    []float64
}

// TestGoldenGenerate wants the ids that transformers makes with each decoder.
func TestGoldenGenerate(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(goldens, "decoder-*"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d decoders, %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			base := filepath.Join(folder, "base")
			model := openBase(t, base, models.HeadSpec{}, 0)
			requests := generationRequests(t, readLines[json.RawMessage](t, filepath.Join(folder, "prompts.jsonl")), base, nil)
			compareGenerated(t, model, requests, readLines[generated](t, filepath.Join(folder, "generated.jsonl")))
		})
	}
}

// TestLiveGenerate wants the ids that Python makes with freshly made decoders, alone and with
// adapters. Of dynamic rotary embeddings TestLiveGrowing wants them. There is no answer to want of
// Phi-3's longrope: where the long factors begin, it leaves keys of the short ones in the cache if
// there are virtual tokens, which it does not count (modeling_phi3.py,
// prepare_inputs_for_generation). Goldens have it alone.
func TestLiveGenerate(t *testing.T) {
	o := needOracle(t)
	for _, b := range decoderBases {
		if isDynamic(b) || b.name == "phi3-longrope" {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			liveGenerate(t, o, models.CausalLM, tinyDecoder(t, o, models.CausalLM, b.arch, b.set))
		})
	}
	for _, b := range seq2seqBases {
		t.Run(b.name, func(t *testing.T) {
			liveGenerate(t, o, models.Seq2SeqLM, tinySeq2Seq(t, o, models.Seq2SeqLM, b.arguments, b.set))
		})
	}
}

func isDynamic(b decoderBase) bool { return strings.Contains(b.set, "dynamic") }

// TestLiveGrowing wants Python's ids of texts that grow over max_position_embeddings where rotary
// embeddings are dynamic: keys in the cache stay as they were turned, later ones turn otherwise.
// transformers' angles depend on the sequences before, so that each prompt has a model of its own.
func TestLiveGrowing(t *testing.T) {
	o := needOracle(t)
	prompts := []json.RawMessage{
		json.RawMessage(`{"input_ids": [7, 3], "max_new_tokens": 20, "eos_token_id": 39}`),
		json.RawMessage(`{"input_ids": [5, 21, 8, 30, 11, 2, 17, 9, 33, 4, 12], "max_new_tokens": 12, "eos_token_id": 39}`),
		json.RawMessage(`{"input_ids": [14, 6, 25], "max_new_tokens": 12, "eos_token_id": 39, "num_beams": 3, "num_return_sequences": 3}`),
	}
	for _, b := range slices.DeleteFunc(slices.Clone(decoderBases), func(b decoderBase) bool { return !isDynamic(b) }) {
		base := tinyDecoder(t, o, models.CausalLM, b.arch, b.set)
		c := cell{oracle: o, taskCase: taskCase{name: "CAUSAL_LM", task: models.CausalLM}, base: base, folder: t.TempDir()}
		model := openBase(t, base.dir, models.HeadSpec{}, 0)
		for _, c.variant = range []variant{{name: "alone"}, {name: "prompt", method: "prompt"}, {name: "prefix", method: "prefix"}} {
			t.Run(b.name+" "+c.variant.name, func(t *testing.T) {
				requests := generationRequests(t, prompts, base.dir, c.frozen(t, model))
				var want []generated
				for i := range prompts {
					want = append(want, c.pythonGenerates(t, prompts[i:i+1])...)
				}
				compareGenerated(t, model, requests, want)
			})
		}
	}
}

// liveGenerate makes all answers of a base, whatever their adapters and settings, in one run.
func liveGenerate(t *testing.T, o *oracle, task models.Task, base liveBase) {
	c := cell{oracle: o, taskCase: taskCase{name: string(task), task: task}, base: base, folder: t.TempDir()}
	model := openBase(t, base.dir, models.HeadSpec{Task: task}, 0)
	prompts := readLines[json.RawMessage](t, filepath.Join(goldens, "decoder-llama", "prompts.jsonl"))
	var requests []generate.Request
	var want []generated
	variants := []variant{{}, {method: "prompt"}, {method: "prefix"}}
	if task == models.CausalLM {
		variants = append(variants, variant{method: "lora", fields: map[string]any{"r": 4, "lora_alpha": 2, "target_modules": "all-linear"}})
	}
	for _, v := range variants {
		c.variant = v.sized(base.sizes)
		requests = append(requests, generationRequests(t, prompts, base.dir, c.frozen(t, model))...)
		want = append(want, c.pythonGenerates(t, prompts)...)
	}
	compareGenerated(t, model, requests, want)
}

// frozen makes the adapter of the variant, if there is one.
func (c cell) frozen(t *testing.T, model *models.Model) *adapters.Frozen {
	t.Helper()
	if c.variant.method == "" {
		return nil
	}
	c.pythonMakes(t, c.path(c.variant.method))
	frozen, err := loadAdapter(t, c.path(c.variant.method), model).Freeze()
	if err != nil {
		t.Fatal(err)
	}
	return frozen
}

func (c cell) pythonGenerates(t *testing.T, prompts []json.RawMessage) []generated {
	t.Helper()
	input, output := c.path("prompts.jsonl"), c.path("generated.jsonl")
	writeLines(t, input, prompts)
	arguments := c.arguments("generate", "--input", input, "--output", output)
	if c.variant.method != "" {
		arguments = append(arguments, "--adapter", c.path(c.variant.method))
	}
	c.oracle.call(t, arguments...)
	return readLines[generated](t, output)
}

// generationRequests reads prompts with settings, which count before those of the base.
func generationRequests(t *testing.T, prompts []json.RawMessage, base string, adapter *adapters.Frozen) []generate.Request {
	t.Helper()
	own, err := hfio.OpenConfig(hfio.Dir(base), generate.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	requests := make([]generate.Request, len(prompts))
	for i, line := range prompts {
		file, err := own.With(decode[map[string]json.RawMessage](t, line))
		if err != nil {
			t.Fatal(err)
		}
		config, err := generate.ParseConfig(file)
		if err != nil {
			t.Fatal(err)
		}
		requests[i] = generate.Request{IDs: decode[struct {
			IDs []int `json:"input_ids"`
		}](t, line).IDs, Adapter: adapter, Config: config}
	}
	return requests
}

// compareGenerated runs the requests together.
func compareGenerated(t *testing.T, model *models.Model, requests []generate.Request, want []generated) {
	t.Helper()
	generator, err := generate.New(model)
	if err != nil {
		t.Fatal(err)
	}
	got, err := generator.Run(context.Background(), requests)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("Python answers %d prompts, want %d", len(want), len(got))
	}
	for i, answers := range got {
		var ids [][]int
		for n, answer := range answers {
			ids = append(ids, answer.IDs)
			if len(want[i].Scores) > 0 && math.Abs(answer.Score-want[i].Scores[n]) > 1e-4*(1+math.Abs(want[i].Scores[n])) {
				t.Errorf("prompt %d: score %d is %v, want %v", i, n, answer.Score, want[i].Scores[n])
			}
		}
		if !slices.EqualFunc(ids, want[i].Sequences, slices.Equal) {
			t.Errorf("prompt %d: answers are %v, want %v", i, ids, want[i].Sequences)
		}
	}
}
