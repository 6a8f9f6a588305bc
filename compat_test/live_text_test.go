package compat_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/tokenize"
)

// textLine is a line of text as the oracle's command forward takes it.
type textLine struct {
	Text string `json:"text"`
	Pair string `json:"pair,omitempty"`
}

var texts = []textLine{
	{Text: "a gripping, moving and often funny film"},
	{Text: "Who was the first woman to cross the Atlantic?", Pair: "Amelia Earhart, in 1928."},
	{Text: "Ça coûte 3,50 € à l'hôtel – naïve façade"},
	{Text: "東京は大きい。 北京很大"},
	{Text: "un##known [MASK] \u200b tokens\tand\u00a0spaces 🙂"},
	{Text: "unbelievably " + strings.Repeat("long ", 150) + "sentence"},
	{Text: ""},
}

// TestLiveText compares answers to real text, tokenizer included, of all methods on MiniLM.
func TestLiveText(t *testing.T) {
	o := needOracle(t)
	dir := miniLM(t)
	base, err := predict.OpenBase(hfio.Dir(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	for _, method := range methods {
		t.Run(method, func(t *testing.T) {
			folder := t.TempDir()
			adapter, input, output := filepath.Join(folder, "adapter"), filepath.Join(folder, "input.jsonl"), filepath.Join(folder, "output.jsonl")
			model := []string{"--base", dir, "--task", "SEQ_CLS"}
			o.call(t, append([]string{"make-adapter", "--method", method, "--out", adapter, "--num-labels", "3"}, model...)...)
			writeLines(t, input, texts)
			o.call(t, append([]string{"forward", "--adapter", adapter, "--input", input, "--output", output}, model...)...)
			predictor, err := base.Adapter(hfio.Dir(adapter))
			if err != nil {
				t.Fatal(err)
			}
			compareClassify(t, predictor, readAnswers(t, output))
		})
	}
}

// compareClassify wants the softmax of Python's logits.
func compareClassify(t *testing.T, predictor *predict.Predictor, want []answer) {
	t.Helper()
	questions := make([]predict.Text, len(texts))
	for i, text := range texts {
		questions[i] = predict.Text{Text: text.Text, Pair: text.Pair}
	}
	got, err := predictor.Classify(t.Context(), questions)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	worst, least, most := 0.0, 1.0, 0.0
	for i := range got {
		least, most = min(least, got[i].Scores[0]), max(most, got[i].Scores[0])
		worst = max(worst, closeTo(t, "the probabilities of "+texts[i].Text, got[i].Scores, softmax(want[i]["logits"]), outputRTol, outputATol))
	}
	if most-least < 1000*outputATol {
		t.Errorf("the first label's probability is %.5f to %.5f: the texts make too little difference for this to be a test", least, most)
	}
	t.Logf("probabilities: greatest difference %.2g", worst)
}

func softmax(logits []float64) []float64 {
	exponentials, sum := make([]float64, len(logits)), 0.0
	for i, x := range logits {
		exponentials[i] = math.Exp(x)
		sum += exponentials[i]
	}
	for i := range exponentials {
		exponentials[i] /= sum
	}
	return exponentials
}

// TestLiveTextInit wants a prompt that starts from a text to start at PEFT's values, bit for bit: texts
// shorter and longer than the prompt.
func TestLiveTextInit(t *testing.T) {
	o := needOracle(t)
	dir := miniLM(t)
	tokenizer, err := tokenize.Load(hfio.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	base := openBase(t, dir, models.HeadSpec{Task: models.FeatureExtraction}, 0)
	for _, text := range []string{"Is it good?", "Classify the feeling of this film review as negative or as positive."} {
		t.Run(text, func(t *testing.T) {
			made := filepath.Join(t.TempDir(), "adapter")
			fields := `{"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "` + text + `", "tokenizer_name_or_path": "` + dir + `"}`
			o.call(t, "make-adapter", "--base", dir, "--task", "FEATURE_EXTRACTION", "--method", "prompt", "--n", "10", "--untrained",
				"--config", fields, "--out", made)
			want := loadAdapter(t, made, base)
			encoding, err := tokenizer.Encode(text, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := adapters.New(base, want.Config, adapters.Init{Rand: seeded(1), TextIDs: encoding.IDs})
			if err != nil {
				t.Fatal(err)
			}
			numtest.SameBits(t, promptValues(t, got), promptValues(t, want))
		})
	}
}

func promptValues(t *testing.T, m *adapters.PeftModel) []float32 {
	t.Helper()
	tensors, err := m.Adapter.Stored()
	if err != nil {
		t.Fatal(err)
	}
	values, err := tensors[0].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return values
}
