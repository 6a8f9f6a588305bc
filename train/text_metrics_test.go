package train_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/gopeft/gopeft/train"
)

// Texts are scored as sacrebleu and rouge-score score them; compat_test/oracle/text_fixtures.py
// says how the numbers were made.
func TestTextMetrics(t *testing.T) {
	data, err := os.ReadFile("testdata/texts.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Corpora []struct {
			Texts      []string
			References [][]string
			BLEU       float64
			ROUGE      []struct{ ROUGE1, ROUGE2, ROUGEL float64 }
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Corpora) < 9 {
		t.Fatalf("found %d corpora, want at least 9", len(file.Corpora))
	}
	near := func(t *testing.T, name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*(1+want) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	for _, c := range file.Corpora {
		t.Run(c.Texts[0], func(t *testing.T) {
			near(t, "BLEU", train.BLEU(c.Texts, c.References), c.BLEU)
			for i, text := range c.Texts {
				got := train.ROUGE(text, c.References[i])
				near(t, "ROUGE-1", got.ROUGE1, c.ROUGE[i].ROUGE1)
				near(t, "ROUGE-2", got.ROUGE2, c.ROUGE[i].ROUGE2)
				near(t, "ROUGE-L", got.ROUGEL, c.ROUGE[i].ROUGEL)
			}
		})
	}
}
