package train

import (
	"regexp"
	"strings"
)

// ROUGEScores are F-measures from 0 to 1.
type ROUGEScores struct {
	ROUGE1, ROUGE2 float64 // of words, and of pairs of words
	ROUGEL         float64 // of the longest common subsequence of words
}

// ROUGE compares a text with references, the best of which counts for each score, as
// rouge-score 0.1.2 does without stemming: words are runs of a to z and 0 to 9.
// Source: C.-Y. Lin, ROUGE, 2004.
func ROUGE(text string, references []string) ROUGEScores {
	var best ROUGEScores
	words := rougeWords(text)
	for _, r := range references {
		reference := rougeWords(r)
		best.ROUGE1 = max(best.ROUGE1, rougeN(words, reference, 1))
		best.ROUGE2 = max(best.ROUGE2, rougeN(words, reference, 2))
		best.ROUGEL = max(best.ROUGEL, f1Of(commonSubsequence(words, reference), len(words), len(reference)))
	}
	return best
}

var notRouge = regexp.MustCompile(`[^a-z0-9]+`)

// dotted makes of the Turkish capital I with its dot what Python's lower does, where Go loses the dot.
var dotted = strings.NewReplacer("İ", "i\u0307")

func rougeWords(text string) []string {
	return strings.Fields(notRouge.ReplaceAllString(strings.ToLower(dotted.Replace(text)), " "))
}

func rougeN(words, reference []string, n int) float64 {
	wanted, right := nGrams(reference, n), 0
	for gram, count := range nGrams(words, n) {
		right += min(count, wanted[gram])
	}
	return f1Of(right, max(0, len(words)-n+1), max(0, len(reference)-n+1))
}

func f1Of(right, predicted, wanted int) float64 {
	return counts{right: right, predicted: predicted, wanted: wanted}.f1()
}

// commonSubsequence returns the length of the longest common subsequence.
func commonSubsequence(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, word := range a {
		diagonal := 0
		for j, other := range b {
			above := row[j+1]
			if row[j+1] = max(row[j], above); word == other {
				row[j+1] = diagonal + 1
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
