package generate

import (
	"math"
	"slices"
)

// history are the tokens that the scores of the next one belong to.
type history struct {
	ids    []int
	prompt int // how many of them were given
}

// made returns the tokens that were made.
func (h history) made() []int { return h.ids[h.prompt:] }

var never = float32(math.Inf(-1))

// process changes the scores of the next token in place.
// Source: transformers 5.23, generation/utils.py, _get_logits_processor for the order, and
// generation/logits_process.py.
func (c Config) process(h history, scores []float32) {
	c.penalizeRepetition(h, scores)
	c.penalizeCounts(h, scores)
	c.banRepeatedNGrams(h, scores)
	if len(h.made()) < c.leastNew(h.prompt) {
		for _, id := range c.EOS {
			scores[id] = never
		}
	}
	if c.ForcedBOS != None && len(h.ids) == 1 {
		force(c.ForcedBOS, scores)
	}
	if c.ForcedEOS != None && len(h.made()) == c.MaxNewTokens-1 {
		force(c.ForcedEOS, scores)
	}
}

// leastNew is how many tokens an answer has at least.
// Source: transformers 5.23, generation/utils.py, _prepare_generated_length.
func (c Config) leastNew(prompt int) int {
	if c.MinNewTokens > 0 {
		return c.MinNewTokens
	}
	return c.MinLength - prompt
}

// force leaves one token.
func force(id int, scores []float32) {
	for i := range scores {
		scores[i] = never
	}
	scores[id] = 0
}

// penalizeRepetition divides the positive scores of the tokens that were there, and
// multiplies the negative ones.
// Source: N. S. Keskar et al., CTRL, 2019, arXiv 1909.05858.
func (c Config) penalizeRepetition(h history, scores []float32) {
	if c.RepetitionPenalty == 1 {
		return
	}
	penalty := float32(c.RepetitionPenalty)
	for id := range counts(h.ids) {
		if scores[id] < 0 {
			scores[id] *= penalty
		} else {
			scores[id] /= penalty
		}
	}
}

// penalizeCounts takes from the scores of the tokens that were made, as OpenAI's API does.
func (c Config) penalizeCounts(h history, scores []float32) {
	if c.FrequencyPenalty == 0 && c.PresencePenalty == 0 {
		return
	}
	for id, n := range counts(h.made()) {
		scores[id] -= float32(float64(n)*c.FrequencyPenalty + c.PresencePenalty)
	}
}

func counts(ids []int) map[int]int {
	n := map[int]int{}
	for _, id := range ids {
		n[id]++
	}
	return n
}

// banRepeatedNGrams takes out each token that would end n tokens that were there.
func (c Config) banRepeatedNGrams(h history, scores []float32) {
	n := c.NoRepeatNGramSize
	if n == 0 || len(h.ids)+1 < n {
		return
	}
	last := h.ids[len(h.ids)-(n-1):]
	for at := 0; at+n <= len(h.ids); at++ {
		if slices.Equal(h.ids[at:at+n-1], last) {
			scores[h.ids[at+n-1]] = never
		}
	}
}
