package compat_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/layer"
)

// seq2seq holds tiny encoder-decoders and adapters on them, with Python's numbers.
const seq2seq = "testdata/seq2seq"

// eachSeq2Seq runs a test for every model; m asks it without an adapter.
func eachSeq2Seq(t *testing.T, test func(t *testing.T, folder string, base *models.Model, m tuned)) {
	folders, err := filepath.Glob(filepath.Join(seq2seq, "*"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("%s: %d folders, %v", seq2seq, len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			base := openBase(t, filepath.Join(folder, "base"), models.HeadSpec{}, 0)
			test(t, folder, base, tuned{base.Forward, models.Seq2SeqLM, "", base.Backbone.(models.EncoderDecoder).ShiftRight})
		})
	}
}

// TestSeq2SeqBase compares the models alone.
func TestSeq2SeqBase(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, folder string, _ *models.Model, m tuned) {
		compareForward(t, m, readLines[example](t, filepath.Join(folder, "input.jsonl")), readAnswers(t, filepath.Join(folder, "forward.jsonl")))
	})
}

// TestSeq2SeqAdapters compares adapters, as loaded and frozen, and LoRA merged into the base;
// saved again their directories are the same.
func TestSeq2SeqAdapters(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, folder string, base *models.Model, ask tuned) {
		configs, err := filepath.Glob(filepath.Join(folder, "*", hfio.AdapterConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range configs {
			dir := filepath.Dir(config)
			t.Run(filepath.Base(dir), func(t *testing.T) {
				m := loadAdapter(t, dir, base)
				frozen, err := m.Freeze()
				if err != nil {
					t.Fatal(err)
				}
				input := "input.jsonl"
				if m.Config.PeftType == hfio.MultitaskPromptTuning {
					input = "tasks.jsonl"
				}
				examples, want := readLines[example](t, filepath.Join(folder, input)), readAnswers(t, dir+".jsonl")
				forwards := []forward{m.Forward, frozen.Forward}
				if m.Config.PeftType == hfio.Lora {
					forwards = append(forwards, openBase(t, mergeAdapter(t, filepath.Join(folder, "base"), dir), models.HeadSpec{}, 0).Forward)
				}
				for _, ask.forward = range forwards {
					compareForward(t, ask, examples, want)
				}
				again := t.TempDir()
				if err := adapters.Save(again, m); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(filepath.Join(again, hfio.ReadmeFile)); err != nil {
					t.Fatal(err)
				}
				sameFiles(t, again, dir)
			})
		}
	})
}

// TestSeq2SeqDropout wants dropouts in transformers' places.
func TestSeq2SeqDropout(t *testing.T) {
	for _, name := range []string{"bart", "mbart", "pegasus"} {
		folder := filepath.Join(seq2seq, name)
		first := readLines[example](t, filepath.Join(folder, "input.jsonl"))[0]
		want := readAnswers(t, filepath.Join(folder, "dropout.jsonl"))
		for i, line := range readLines[dropoutLine](t, filepath.Join(folder, "dropout.jsonl")) {
			t.Run(name+" "+line.Field, func(t *testing.T) {
				dir := withField(t, filepath.Join(folder, "base"), line.Field, 0.99999994)
				model, base, err := auto.Load(dir, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer base.Close()
				m := tuned{task: models.Seq2SeqLM, shift: model.Backbone.(models.EncoderDecoder).ShiftRight}
				logits, out, err := model.Forward(models.Batch{Sequences: m.sequences(first), Dropout: layer.NewDropout(1)})
				if err != nil {
					t.Fatal(err)
				}
				compareAnswer(t, 0, answers(m.task, logits, out)[0], want[i], outputATol)
			})
		}
	}
}
