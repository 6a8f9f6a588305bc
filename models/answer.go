package models

// maxAnswerTokens is the longest answer that [BestSpan] looks for, as in the scripts
// of transformers.
const maxAnswerTokens = 30

// BestSpan returns the first and the last token of the answer to a question: the span
// with the highest sum of its start and end score, of tokens of the context alone.
// scores holds a start and an end score for each token, without virtual tokens. ok is
// false where no token belongs to the context.
func BestSpan(scores []float32, inContext func(token int) bool) (start, end int, score float32, ok bool) {
	tokens := len(scores) / 2
	for s := range tokens {
		if !inContext(s) {
			continue
		}
		for e := s; e < min(s+maxAnswerTokens, tokens) && inContext(e); e++ {
			if sum := scores[2*s] + scores[2*e+1]; !ok || sum > score {
				start, end, score, ok = s, e, sum, true
			}
		}
	}
	return start, end, score, ok
}
