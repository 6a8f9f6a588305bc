package train

import (
	"math"
	"regexp"
	"strings"
	"unicode"
)

// BLEU is the corpus score of texts from 0 to 100, each against one or several
// references, as sacrebleu 2.6 computes it by default: words as mteval-v13a cuts them,
// up to four in a row, exponential smoothing, and the reference nearest in length.
// Source: K. Papineni et al., BLEU, 2002; M. Post, A Call for Clarity in Reporting BLEU
// Scores, 2018, arXiv 1804.08771.
func BLEU(texts []string, references [][]string) float64 {
	var s bleuCounts
	for i, text := range texts {
		s.add(words13a(text), references[i])
	}
	return s.score()
}

const bleuOrder = 4 // words in a row

// bleuCounts are what BLEU is made of.
type bleuCounts struct {
	length, reference int            // words
	right, total      [bleuOrder]int // n-grams
}

func (s *bleuCounts) add(words []string, references []string) {
	cut, nearest := make([][]string, len(references)), -1
	for i, r := range references {
		cut[i] = words13a(r)
		if n := len(cut[i]); nearest < 0 || nearer(len(words), n, nearest) {
			nearest = n
		}
	}
	s.length, s.reference = s.length+len(words), s.reference+max(0, nearest)
	for n := range bleuOrder {
		allowed := map[string]int{}
		for _, reference := range cut {
			for gram, count := range nGrams(reference, n+1) {
				allowed[gram] = max(allowed[gram], count)
			}
		}
		for gram, count := range nGrams(words, n+1) {
			s.right[n] += min(count, allowed[gram])
			s.total[n] += count
		}
	}
}

// nearer tells whether a is nearer to a length than b, of equally near ones the shorter.
func nearer(length, a, b int) bool {
	da, db := max(length-a, a-length), max(length-b, b-length)
	return da < db || da == db && a < b
}

// nGrams counts the runs of n words, which hold no spaces.
func nGrams(words []string, n int) map[string]int {
	counts := map[string]int{}
	for i := 0; i+n <= len(words); i++ {
		counts[strings.Join(words[i:i+n], " ")]++
	}
	return counts
}

func (s *bleuCounts) score() float64 {
	if s.right == [bleuOrder]int{} {
		return 0
	}
	sum, smooth := 0.0, 1.0
	for n := range bleuOrder {
		if s.total[n] == 0 {
			return 0
		}
		right := float64(s.right[n])
		if right == 0 {
			smooth *= 2
			right = 1 / smooth
		}
		sum += math.Log(100 * right / float64(s.total[n]))
	}
	brevity := min(1, math.Exp(1-float64(s.reference)/float64(s.length)))
	return brevity * math.Exp(sum/bleuOrder)
}

// The cuts of mteval-v13a, one after the other.
var (
	cut13a = []struct {
		at  *regexp.Regexp
		put string
	}{
		{regexp.MustCompile("([{-~\\[-` -&(-+:-@/])"), " $1 "},
		{regexp.MustCompile(`([^0-9])([.,])`), "$1 $2 "},
		{regexp.MustCompile(`([.,])([^0-9])`), " $1 $2"},
		{regexp.MustCompile(`([0-9])(-)`), "$1 $2 "},
	}
	entities13a = [][2]string{{"&quot;", `"`}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}}
	lines13a    = strings.NewReplacer("<skipped>", "", "-\n", "", "\n", " ")
)

func words13a(text string) []string {
	text = " " + lines13a.Replace(strings.TrimFunc(text, isPythonSpace)) + " "
	for _, entity := range entities13a {
		text = strings.ReplaceAll(text, entity[0], entity[1])
	}
	for _, cut := range cut13a {
		text = cut.at.ReplaceAllString(text, cut.put)
	}
	return strings.FieldsFunc(text, isPythonSpace)
}

// isPythonSpace tells whether Python cuts words there: it counts four more of the control characters than Go.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
