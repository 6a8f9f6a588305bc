package compat_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/predict"
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
			test(t, folder, base, tuned{forward: base.Forward, task: base.Task, shift: base.Backbone.(models.EncoderDecoder).ShiftRight})
		})
	}
}

// TestSeq2SeqBase compares the models alone.
func TestSeq2SeqBase(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, folder string, _ *models.Model, m tuned) {
		compareForward(t, m, readLines[example](t, filepath.Join(folder, "input.jsonl")), readAnswers(t, filepath.Join(folder, "forward.jsonl")))
	})
}

// TestSeq2SeqForward compares what package predict says of token ids.
func TestSeq2SeqForward(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, folder string, _ *models.Model, m tuned) {
		base, err := predict.OpenBase(hfio.Dir(filepath.Join(folder, "base")), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer base.Close()
		p, err := base.Alone(m.task)
		if err != nil {
			t.Fatal(err)
		}
		want := readAnswers(t, filepath.Join(folder, "forward.jsonl"))
		for i, in := range readLines[predict.TokenInput](t, filepath.Join(folder, "input.jsonl")) {
			out, err := p.Forward(in)
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := json.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			got := answer{}
			for name, value := range decode[map[string]any](t, encoded) {
				got[name] = flatten(nil, value)
			}
			compareAnswer(t, i, got, want[i], outputATol)
			if _, ok := got["loss"]; ok != (want[i]["loss"] != nil) {
				t.Errorf("sequence %d: a loss: %v", i, ok)
			}
		}
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
				modules := openAdapter(t, dir).Config.ModulesToSave
				noErrors(t, dir, base)
				if named := len(openAdapter(t, dir).Config.ModulesToSave) == 3; named { // the head too
					if found := adapters.Validate(openAdapter(t, dir), nil); len(found) > 0 {
						t.Errorf("Validate() = %v", found)
					}
				}
				m := loadAdapter(t, dir, openBase(t, filepath.Join(folder, "base"), models.HeadSpec{ModulesToSave: modules}, 0))
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

// TestSeq2SeqClassifierWantsEnd: transformers refuses a text without an end token, too.
func TestSeq2SeqClassifierWantsEnd(t *testing.T) {
	base := openBase(t, filepath.Join(seq2seq, "bart-classifier", "base"), models.HeadSpec{}, 0)
	_, _, err := base.Forward(models.Batch{Sequences: []models.Sequence{{IDs: []int{3, 2}}, {IDs: []int{3, 4}}}})
	if !errors.Is(err, models.ErrTokenID) || !strings.Contains(err.Error(), "sequence 1: ") {
		t.Errorf("found %v, want an error of sequence 1", err)
	}
}

// TestSeq2SeqWithoutHead wants an adapter refused that brings no head to a base that has none,
// which PEFT gives one of random weights.
func TestSeq2SeqWithoutHead(t *testing.T) {
	dir := filepath.Join(seq2seq, "t5-classifier")
	file := openAdapter(t, filepath.Join(dir, "lora"))
	model := openBase(t, filepath.Join(seq2seq, "t5", "base"), models.HeadSpec{Task: models.SeqCls}, 3)
	if _, err := adapters.FromFile(file, model); !errors.Is(err, adapters.ErrMissingHead) {
		t.Errorf("found %v, want %v", err, adapters.ErrMissingHead)
	}
}

// TestSeq2SeqOwnWords wants a checkpoint refused in which a stack has words of its own:
// transformers does not tie what differs.
func TestSeq2SeqOwnWords(t *testing.T) {
	for _, c := range []struct{ folder, shared, own string }{
		{"bart", "model.shared.weight", "model.encoder.embed_tokens.weight"},
		{"bart", "model.shared.weight", "model.decoder.embed_tokens.weight"},
		{"t5", "shared.weight", "encoder.embed_tokens.weight"},
		{"t5", "shared.weight", "decoder.embed_tokens.weight"},
	} {
		for _, change := range []byte{0, 1} {
			files := fstest.MapFS{}
			for name, data := range readDir(t, filepath.Join(seq2seq, c.folder, "base")) {
				files[name] = &fstest.MapFile{Data: []byte(data)}
			}
			file, err := hfio.OpenSafeTensors(files, hfio.ModelWeightsFile, &hfio.OpenOptions{NoMap: true})
			if err != nil {
				t.Fatal(err)
			}
			words, ok := file.Tensor(c.shared)
			if !ok {
				t.Fatalf("%s: no %s", c.folder, c.shared)
			}
			words = words.Clone()
			words.Name = c.own
			words.Data[0] += change
			data, err := hfio.EncodeSafeTensors(file.Metadata, append(file.Tensors, words))
			if err != nil {
				t.Fatal(err)
			}
			files[hfio.ModelWeightsFile].Data = data
			_, base, err := auto.Load(files, nil)
			if err == nil {
				defer base.Close()
			}
			refused := errors.Is(err, hfio.ErrUnsupported) && strings.Contains(err.Error(), strings.TrimPrefix(c.own, "model."))
			if change > 0 && !refused || change == 0 && err != nil {
				t.Errorf("%s: words that differ in %d: %v", c.own, change, err)
			}
		}
	}
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
