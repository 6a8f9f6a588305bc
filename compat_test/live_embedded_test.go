package compat_test

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/models/embedded/decoder"
	"github.com/gopeft/gopeft/tokenize"
)

// TestLiveEmbedded compares the scores that the embedded bases give every word with those of
// transformers, in double precision, on definitions that they never saw.
func TestLiveEmbedded(t *testing.T) {
	o := needOracle(t)
	data, err := fs.ReadFile(embedded.Domains(), "test.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")[1:13]
	for _, b := range []struct {
		task  models.Task
		files fs.FS
		dir   string
		after string // a definition
	}{
		{models.MaskedLM, embedded.Files(), "../models/embedded/model", " [MASK]"},
		{models.CausalLM, decoder.Files(), "../models/embedded/decoder/model", "\n"},
	} {
		t.Run(string(b.task), func(t *testing.T) {
			model, base, err := auto.Load(b.files, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer base.Close()
			if model.Task != b.task {
				t.Fatalf("the base is for %s, want %s", model.Task, b.task)
			}
			tokenizer, err := tokenize.Load(b.files)
			if err != nil {
				t.Fatal(err)
			}
			var examples []example
			for _, line := range lines {
				text, _, _ := strings.Cut(line, "\t")
				encoding, err := tokenizer.Encode(text+b.after, nil)
				if err != nil {
					t.Fatal(err)
				}
				e := example{IDs: encoding.IDs}
				if b.task == models.MaskedLM {
					e.TypeIDs = make([]int, len(e.IDs))
				}
				examples = append(examples, e)
			}
			c := taskCase{name: string(b.task), task: b.task}
			cell := cell{oracle: o, taskCase: c, base: liveBase{dir: b.dir}, folder: t.TempDir()}
			want := cell.baseAnswers(t, examples, "--dtype", "float64")
			// Which of the texts are ill-conditioned differs: torch's float32 is that far away in one of them.
			rounding := slices.Max(differences(cell.baseAnswers(t, examples), want))
			compareForward(t, c.ask(model.Forward), examples, want, slices.Repeat([]float64{rounding}, len(examples))...)
		})
	}
}

// TestLiveEmbeddedGenerates wants the ids that transformers' generate makes with the embedded
// decoder.
func TestLiveEmbeddedGenerates(t *testing.T) {
	tokenizer, err := tokenize.Load(decoder.Files())
	if err != nil {
		t.Fatal(err)
	}
	comparePrompts(t, needOracle(t), "../models/embedded/decoder/model", tokenizer, "horse (noun):", "to sing is one way to", "the science of stars\n")
}

// comparePrompts wants what transformers' generate makes with a decoder of each text: greedily until it ends, and by beam
// search. It returns the first answer.
func comparePrompts(t *testing.T, o *oracle, dir string, tokenizer *tokenize.Tokenizer, texts ...string) []int {
	t.Helper()
	var prompts []json.RawMessage
	for _, text := range texts {
		encoding, err := tokenizer.Encode(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, settings := range []map[string]any{{"max_new_tokens": 40}, {"max_new_tokens": 12, "num_beams": 3, "num_return_sequences": 2}} {
			settings["input_ids"] = encoding.IDs
			line, err := json.Marshal(settings)
			if err != nil {
				t.Fatal(err)
			}
			prompts = append(prompts, line)
		}
	}
	c := cell{oracle: o, taskCase: taskCase{name: string(models.CausalLM), task: models.CausalLM}, base: liveBase{dir: dir}, folder: t.TempDir()}
	model := openBase(t, dir, models.HeadSpec{Task: models.CausalLM}, 0)
	want := c.pythonGenerates(t, prompts)
	compareGenerated(t, model, generationRequests(t, prompts, dir, nil), want)
	return want[0].Sequences[0]
}
