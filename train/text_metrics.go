package train

import (
	"slices"
	"strings"
)

// TextMetrics compares written texts, each with one or several references: bleu from 0 to
// 100, and from 0 to 1 the means of rouge1, rouge2, rougeL and exact_match.
func TextMetrics(texts []string, references [][]string) map[string]float64 {
	m := map[string]float64{"bleu": BLEU(texts, references)}
	for i, text := range texts {
		rouge := ROUGE(text, references[i])
		same := func(reference string) bool { return strings.TrimSpace(reference) == strings.TrimSpace(text) }
		for name, value := range map[string]float64{
			"rouge1": rouge.ROUGE1, "rouge2": rouge.ROUGE2, "rougeL": rouge.ROUGEL,
			"exact_match": float64(oneIf(slices.ContainsFunc(references[i], same))),
		} {
			m[name] += value / float64(len(texts))
		}
	}
	return m
}
