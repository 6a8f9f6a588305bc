package train

import (
	"strings"
	"unicode"

	"github.com/gopeft/gopeft/models"
)

// SQuADScores compares an answer with all right ones as SQuAD's scripts do: 0 or 1 for
// the same text, and the F1 of its words, the best over the right answers. Without a
// right one, no answer is right (SQuAD 2.0).
func SQuADScores(prediction string, answers []string) (exact, f1 float64) {
	if len(answers) == 0 {
		answers = []string{""}
	}
	p := normalizeAnswer(prediction)
	for _, answer := range answers {
		w := normalizeAnswer(answer)
		if p == w {
			exact = 1
		}
		f1 = max(f1, wordF1(strings.Fields(p), strings.Fields(w)))
	}
	return exact, f1
}

// normalizeAnswer lowers, removes ASCII punctuation, then articles, and makes every
// white space one blank.
func normalizeAnswer(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsPunct(r) || unicode.IsSymbol(r)) {
			return -1
		}
		return r
	}, strings.ToLower(s))
	return strings.Join(strings.Fields(removeArticles(s)), " ")
}

// removeArticles puts a blank in place of each a, an and the that stands alone.
func removeArticles(s string) string {
	var b strings.Builder
	word := ""
	flush := func() {
		if word == "a" || word == "an" || word == "the" {
			word = " "
		}
		b.WriteString(word)
		word = ""
	}
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || r == '_' {
			word += string(r)
			continue
		}
		flush()
		b.WriteRune(r)
	}
	flush()
	return b.String()
}

func wordF1(predicted, wanted []string) float64 {
	if len(predicted) == 0 || len(wanted) == 0 {
		return float64(oneIf(len(predicted) == len(wanted)))
	}
	left := map[string]int{}
	for _, w := range wanted {
		left[w]++
	}
	c := counts{predicted: len(predicted), wanted: len(wanted)}
	for _, w := range predicted {
		if left[w] > 0 {
			left[w]--
			c.right++
		}
	}
	return c.f1()
}

// BestAnswer returns the piece of the context with the highest sum of its start and
// end score; see models.BestSpan. With noAnswer, "" wins if the first token's scores are
// as high.
func BestAnswer(c *Context, scores []float32, noAnswer bool) string {
	s, e, score, found := models.BestSpan(scores, func(token int) bool { return c.Offsets[token].Start >= 0 })
	if !found || noAnswer && scores[0]+scores[1] >= score {
		return ""
	}
	start, end := c.Offsets[s].Start, c.Offsets[e].End
	text := []rune(c.Text)
	if end > len(text) || start > end {
		return ""
	}
	return string(text[start:end])
}
