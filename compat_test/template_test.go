package compat_test

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
)

// TestGoldenVerbalizer wants the scores of labels to be the means of transformers' log
// probabilities of their words' tokens, one mask a token.
func TestGoldenVerbalizer(t *testing.T) {
	dir := filepath.Join(goldens, "MASKED_LM")
	language := openBase(t, filepath.Join(dir, "base"), models.HeadSpec{Task: models.MaskedLM}, 0)
	examples, want := readLines[example](t, filepath.Join(dir, "input.jsonl")), readAnswers(t, filepath.Join(dir, "forward.jsonl"))
	words := [][][]int{{{7}}, {{9, 11}, {3}}, {{30, 31}}}
	vocabulary := language.Backbone.Shape().Vocab
	verbalized, err := language.Verbalize(&models.Verbalizer{Labels: []string{"a", "b", "c"}, Words: words})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := language.Verbalize(&models.Verbalizer{Labels: make([]string, vocabulary)})
	if err != nil {
		t.Fatal(err)
	}
	var pairs, ones []models.Sequence
	var scores, first []float64
	for i, e := range examples {
		n := len(e.IDs)
		if n < 2 {
			continue
		}
		logits := want[i]["logits"]
		reads := []int{n / 2, n - 1}
		if reads[0] == reads[1] {
			reads[0]--
		}
		s := tuned{}.sequences(e)[0]
		s.Reads = reads
		pairs = append(pairs, s)
		s.Reads = reads[:1]
		ones = append(ones, s)
		row := func(at int) []float64 { return logits[reads[at]*vocabulary:][:vocabulary] }
		for _, label := range words {
			sum := 0.0
			for _, word := range label {
				for at, token := range word {
					sum += logSoftmax(row(at), token) / float64(len(label)*len(word))
				}
			}
			scores = append(scores, sum)
		}
		first = append(first, row(0)...)
	}
	for _, c := range []struct {
		name      string
		model     *models.Model
		sequences []models.Sequence
		want      []float64
	}{{"words", verbalized, pairs, scores}, {"vocabulary", whole, ones, first}} {
		got, _, err := c.model.Forward(models.Batch{Sequences: c.sequences})
		if err != nil {
			t.Fatal(err)
		}
		closeTo(t, c.name, numtest.Wide(models.Values(got)), c.want, outputRTol, outputATol)
	}
	// The masks of one word where the longest has two.
	if _, _, err := verbalized.Forward(models.Batch{Sequences: ones}); !errors.Is(err, models.ErrLabels) {
		t.Errorf("found %v, want ErrLabels", err)
	}
	if task := verbalized.PeftTask(); task != models.FeatureExtraction || verbalized.Task != models.SeqCls || language.PeftTask() != models.MaskedLM {
		t.Errorf("PEFT's task is %s, want %s", task, models.FeatureExtraction)
	}
}

// templateFlags make adapters with templates on the embedded base: the paper's encoder with words of
// one and of two tokens and plain words among the trained tokens, and free vectors with all tokens as labels.
var templateFlags = map[string][]string{
	"words": {
		"--encoder-reparameterization-type", "LSTM", "--encoder-hidden-size", "16", "--max-length", "40",
		"--template", "[P1][P2] {text} ({pair})? It is [P3] [MASK] [P1].", "--verbalizer", "animal=animal,wild dog;thing=thing",
	},
	"vocabulary": {"--peft-type", "PROMPT_TUNING", "--template", "{pair}: {text} [P1] a kind of[MASK]"},
}

// templateExample is a line of the training data, and of questions.
type templateExample struct {
	Text  string `json:"text"`
	Pair  string `json:"pair"`
	Label string `json:"label,omitempty"`
}

// causalFlags make adapters on a tiny causal language model.
var causalFlags = map[string][]string{
	"words": {
		"--encoder-reparameterization-type", "LSTM", "--max-length", "40",
		"--template", "[P1] {text} ({pair})? [P2] is [P3] [P1] [MASK]", "--verbalizer", "animal=good,great;thing=bad",
	},
}

// TestLiveTemplate wants the answers of the Python file for users of PEFT: to texts that are cut, too.
func TestLiveTemplate(t *testing.T) {
	liveTemplates(t, needOracle(t), "../models/embedded/model", templateFlags)
}

func TestLiveTemplateCausal(t *testing.T) {
	o, base := needOracle(t), filepath.Join(t.TempDir(), "base")
	o.call(t, "make-base", base, "--arch", "llama", "--task", string(models.CausalLM), "--tokenizer")
	liveTemplates(t, o, base, causalFlags)
}

func liveTemplates(t *testing.T, o *oracle, base string, adapters map[string][]string) {
	folder := t.TempDir()
	data, input := filepath.Join(folder, "train.jsonl"), filepath.Join(folder, "input.jsonl")
	writeLines(t, data, []templateExample{{"a poodle", "it barks", "animal"}, {"a hammer", "it is of steel", "thing"}})
	questions := []templateExample{
		{Text: "a terrier", Pair: "it hunts"},
		{Text: "a saw"},
		{Text: "Ça coûte 3,50 € [MASK] {pair} [P1]\n 東京", Pair: "[SEP] un##known 🙂 "},
		{Text: strings.Repeat("a long text ", 30), Pair: strings.Repeat("and its pair ", 9)},
		{Text: strings.Repeat("a text that is much longer ", 60), Pair: "short"},
	}
	writeLines(t, input, questions)
	opened, err := predict.OpenBase(hfio.Dir(base), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	for name, flags := range adapters {
		t.Run(name, func(t *testing.T) {
			dir, output := filepath.Join(t.TempDir(), "adapter"), filepath.Join(t.TempDir(), "output.jsonl")
			gopeft(t, "train --num-train-epochs 3 --learning-rate 0.05", append(flags, "--base", base, "--data", data, "--output", dir)...)
			o.call(t, "template", "--base", base, "--adapter", dir, "--input", input, "--output", output)
			predictor, err := opened.Adapter(hfio.Dir(dir))
			if err != nil {
				t.Fatal(err)
			}
			compareTemplate(t, predictor, questions, output)
			resaved := filepath.Join(t.TempDir(), "resaved")
			o.call(t, "resave", "--base", base, "--adapter", dir, "--task", string(models.FeatureExtraction), "--out", resaved)
			if readDir(t, dir)[hfio.AdapterWeightsFile] != readDir(t, resaved)[hfio.AdapterWeightsFile] {
				t.Error("PEFT saved other weights than it loaded")
			}
		})
	}
}

func compareTemplate(t *testing.T, predictor *predict.Predictor, questions []templateExample, output string) {
	t.Helper()
	texts := make([]predict.Text, len(questions))
	for i, q := range questions {
		texts[i] = predict.Text{Text: q.Text, Pair: q.Pair}
	}
	got, err := predictor.Classify(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, want := range readLines[struct {
		Label         string
		Probabilities []float64
	}](t, output) {
		if got[i].Label != want.Label {
			t.Errorf("text %d: label %q, want %q", i, got[i].Label, want.Label)
		}
		worst = max(worst, closeTo(t, "the probabilities of "+questions[i].Text, got[i].Scores, want.Probabilities, outputRTol, outputATol))
	}
	if cut := got[len(got)-1]; !cut.Truncated || got[0].Truncated {
		t.Errorf("the last text is cut: %v, the first: %v, want the last alone", cut.Truncated, got[0].Truncated)
	}
	t.Logf("probabilities: greatest difference %.2g", worst)
}

// TestTemplateGradient compares the gradients of what is trained, through the language model and
// the words, with finite differences: one trained token stands twice, another behind the masks.
func TestTemplateGradient(t *testing.T) {
	language := openBase(t, filepath.Join(goldens, "MASKED_LM", "base"), models.HeadSpec{Task: models.MaskedLM}, 0)
	model, err := language.Verbalize(&models.Verbalizer{Labels: []string{"a", "b"}, Words: [][][]int{{{7}, {8, 9}}, {{10}}}})
	if err != nil {
		t.Fatal(err)
	}
	config := hfio.NewAdapterConfig(hfio.PromptTuning)
	config.TaskType, config.NumVirtualTokens = hfio.FeatureExtraction, 3
	m, err := adapters.New(model, config, adapters.Init{Rand: seeded(3)})
	if err != nil {
		t.Fatal(err)
	}
	batch := models.Batch{Sequences: []models.Sequence{
		{IDs: []int{2, 4, 4, 11, 4, 4, 4, 3}, Virtual: []int{-1, 1, 0, -1, 1, -1, -1, -1}, Reads: []int{5, 6}},
		{IDs: []int{2, 4, 4, 4, 4, 12, 13, 3}, Virtual: []int{-1, 0, -1, -1, 2, -1, -1, -1}, Reads: []int{2, 3}},
	}}
	loss := func() mat.Tensor {
		logits, out, err := m.Forward(batch)
		if err != nil {
			t.Fatal(err)
		}
		loss, err := models.Loss(model.Task, model.ProblemType, logits, out, models.Labels{Classes: []int{1, 0}})
		if err != nil {
			t.Fatal(err)
		}
		return loss
	}
	if err := ag.Backward(loss()); err != nil {
		t.Fatal(err)
	}
	var variables []numtest.Variable
	for _, p := range m.Trained() {
		variables = append(variables, numtest.Variable{Name: p.Name, Value: models.Values(p.Param), Grad: models.Values(p.Param.Grad())})
	}
	numtest.Gradient(t, variables, func() float64 { return float64(models.Values(loss())[0]) }, &numtest.GradientOptions{ATol: 1e-4})
}

// logSoftmax is log softmax(x)[at].
func logSoftmax(x []float64, at int) float64 {
	top, sum := slices.Max(x), 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return x[at] - top - math.Log(sum)
}

func TestVerbalizerErrors(t *testing.T) {
	language := openBase(t, filepath.Join(goldens, "MASKED_LM", "base"), models.HeadSpec{Task: models.MaskedLM}, 0)
	for _, c := range []struct {
		name string
		v    models.Verbalizer
		want []string
	}{
		{"labels", models.Verbalizer{Labels: []string{"a"}, Words: [][][]int{{{1}}, {{2}}}}, []string{"the words of 2 labels, want 1"}},
		{"words", models.Verbalizer{Labels: []string{"a", "b", "c"}, Words: [][][]int{{}, {{1}, {}}, {{1, 99}}}}, []string{"label 0", "label 1", "token 1 is 99"}},
		{"names", models.Verbalizer{Labels: []string{"a"}}, []string{"found 1 names"}},
	} {
		_, err := language.Verbalize(&c.v)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: found %v, want %q", c.name, err, want)
			}
		}
	}
	bare := openBase(t, filepath.Join(goldens, "FEATURE_EXTRACTION", "base"), models.HeadSpec{Task: models.FeatureExtraction}, 0)
	if _, err := bare.Verbalize(&models.Verbalizer{}); !errors.Is(err, models.ErrUnsupportedTask) {
		t.Errorf("found %v, want ErrUnsupportedTask", err)
	}
}
