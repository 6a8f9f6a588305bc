package embedded_test

import (
	"encoding/csv"
	"io/fs"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/tokenize"
)

// definitions are the texts of a file of the task, with their labels.
func definitions(t *testing.T, name string) [][]string {
	t.Helper()
	data, err := fs.ReadFile(embedded.Domains(), name)
	if err != nil {
		t.Fatal(err)
	}
	reader := csv.NewReader(strings.NewReader(string(data)))
	reader.Comma, reader.LazyQuotes = '\t', true
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

// TestLanguageModel masks a token of each unseen definition. The share that the model
// guesses must be far above that of the commonest token: README.md has the figures for all masked words.
func TestLanguageModel(t *testing.T) {
	model, base, err := auto.Load(embedded.Files(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	tokenizer, err := tokenize.Load(embedded.Files())
	if err != nil {
		t.Fatal(err)
	}
	mask, err := tokenizer.Encode("[MASK]", &tokenize.Options{NoSpecialTokens: true})
	if err != nil || len(mask.IDs) != 1 {
		t.Fatalf("[MASK] is %v, %v", mask.IDs, err)
	}
	right, all, counts := 0, 0, map[int]int{}
	for _, row := range definitions(t, "test.tsv")[:200] {
		encoding, err := tokenizer.Encode(row[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		at := len(encoding.IDs) / 2
		want := encoding.IDs[at]
		encoding.IDs[at] = mask.IDs[0]
		logits, _, err := model.Forward(models.Batch{Sequences: []models.Sequence{{IDs: encoding.IDs}}})
		if err != nil {
			t.Fatal(err)
		}
		vocab := base.Shape().Vocab
		best, scores := 0, models.Values(logits)[at*vocab:][:vocab]
		for i, score := range scores {
			if score > scores[best] {
				best = i
			}
		}
		counts[want]++
		all++
		if best == want {
			right++
		}
	}
	commonest := 0
	for _, n := range counts {
		commonest = max(commonest, n)
	}
	t.Logf("%d of %d tokens are guessed; the commonest is there %d times", right, all, commonest)
	if right < 3*commonest {
		t.Errorf("%d of %d tokens are guessed, want at least three times as many as the commonest has, %d", right, all, commonest)
	}
}

// TestDomains: ten classes of equal size, and no definition is in two files.
func TestDomains(t *testing.T) {
	seen := map[string]string{}
	for name, size := range map[string]int{"train.tsv": 250, "dev.tsv": 40, "test.tsv": 80} {
		counts := map[string]int{}
		for _, row := range definitions(t, name) {
			counts[row[1]]++
			if other, twice := seen[row[0]]; twice {
				t.Errorf("%q is in %s and in %s", row[0], other, name)
			}
			seen[row[0]] = name
		}
		if len(counts) != 10 {
			t.Errorf("%s has %d classes, want 10", name, len(counts))
		}
		for label, n := range counts {
			if n != size {
				t.Errorf("%s has %d of %s, want %d", name, n, label, size)
			}
		}
	}
}
