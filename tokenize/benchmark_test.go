package tokenize_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkEncode encodes the lines of a corpus one by one; run it with -benchmem.
func BenchmarkEncode(b *testing.B) {
	for _, c := range []struct{ name, file, corpus string }{
		{"tiny", filepath.Join("testdata", "uncased.json"), filepath.Join("testdata", "corpus.jsonl")},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkEncode(b, c.file, c.corpus, "") })
	}
	folder := filepath.Join("..", "..", "shared", "tokenizers")
	if _, err := os.Stat(folder); err != nil {
		b.Log("no folder shared/tokenizers beside the repository: the tiny tokenizer only")
		return
	}
	corpus := filepath.Join(folder, "corpus.jsonl")
	for _, name := range []string{"bert-base-uncased", "gpt2", "qwen3", "t5-orig", "albert", "barthez", "mistral3"} {
		for _, category := range []string{"english", "chinese", "accents", "code"} {
			b.Run(name+"/"+category, func(b *testing.B) {
				benchmarkEncode(b, filepath.Join(folder, name+".json"), corpus, category)
			})
		}
	}
}

// benchmarkEncode reports tokens a second over the texts of one category, or of all for "".
func benchmarkEncode(b *testing.B, file, corpus, category string) {
	tokenizer := parse(b, file)
	data, err := os.ReadFile(corpus)
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	s := bufio.NewScanner(strings.NewReader(string(data)))
	for s.Buffer(nil, 1<<26); s.Scan(); {
		var line struct{ Cat, Text string }
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			b.Fatal(err)
		}
		if category == "" || line.Cat == category {
			texts = append(texts, line.Text)
		}
	}
	tokens := 0
	b.ReportAllocs()
	for b.Loop() {
		for _, text := range texts {
			encoding, err := tokenizer.Encode(text, nil)
			if err != nil {
				b.Fatal(err)
			}
			tokens += len(encoding.IDs)
		}
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(len(texts)), "texts/op")
}
