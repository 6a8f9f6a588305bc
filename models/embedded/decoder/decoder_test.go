package decoder_test

import (
	"encoding/csv"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/models/embedded/decoder"
	"github.com/gopeft/gopeft/tokenize"
)

// TestLanguageModel measures the perplexity of definitions that the model never saw, after their
// first tokens. It must be far below that of a unigram model that knows the counts of this very text,
// which no unigram model is better than: README.md has the figures for more definitions.
func TestLanguageModel(t *testing.T) {
	model, base, err := auto.Load(decoder.Files(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	if shape := base.Shape(); model.Task != models.CausalLM || shape.ModelType != "llama" {
		t.Fatalf("found %s for %s, want llama for %s", shape.ModelType, model.Task, models.CausalLM)
	}
	tokenizer, err := tokenize.Load(decoder.Files())
	if err != nil {
		t.Fatal(err)
	}
	loss, count, counts := 0.0, 0, map[int]int{}
	for _, text := range unseen(t)[:200] {
		encoding, err := tokenizer.Encode(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if encoding.IDs[0] != tokenizer.SpecialIDs().Bos {
			t.Fatalf("%q begins with token %d, want <s>", text, encoding.IDs[0])
		}
		logits, _, err := model.Forward(models.Batch{Sequences: []models.Sequence{{IDs: encoding.IDs}}})
		if err != nil {
			t.Fatal(err)
		}
		vocab := base.Shape().Vocab
		for i := 1; i < len(encoding.IDs); i++ {
			loss += surprise(models.Values(logits)[(i-1)*vocab:i*vocab], encoding.IDs[i])
			counts[encoding.IDs[i]]++
			count++
		}
	}
	entropy := 0.0
	for _, n := range counts {
		p := float64(n) / float64(count)
		entropy -= p * math.Log(p)
	}
	perplexity, unigram := math.Exp(loss/float64(count)), math.Exp(entropy)
	t.Logf("perplexity %.1f of %d tokens; the best unigram model has %.1f", perplexity, count, unigram)
	if perplexity > unigram/4 {
		t.Errorf("perplexity %.1f, want at most a quarter of the best unigram model's, %.1f", perplexity, unigram)
	}
}

// surprise is -log of the probability that scores give a token.
func surprise(scores []float32, token int) float64 {
	highest, sum := float64(scores[0]), 0.0
	for _, s := range scores {
		highest = max(highest, float64(s))
	}
	for _, s := range scores {
		sum += math.Exp(float64(s) - highest)
	}
	return highest + math.Log(sum) - float64(scores[token])
}

// unseen are the definitions of the task's test file.
func unseen(t *testing.T) []string {
	t.Helper()
	data, err := fs.ReadFile(embedded.Domains(), "test.tsv")
	if err != nil {
		t.Fatal(err)
	}
	reader := csv.NewReader(strings.NewReader(string(data)))
	reader.Comma, reader.LazyQuotes = '\t', true
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, row := range rows[1:] {
		texts = append(texts, row[0])
	}
	return texts
}
