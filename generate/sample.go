package generate

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// candidate is a token that may come next.
type candidate struct {
	id    int
	score float32
}

// candidates returns the tokens that may be drawn, the likeliest first, at least keep of
// them. The filters work one after the other, each on what those before it left.
// Source: transformers 5.23, generation/utils.py, _get_logits_processor for the order, and
// the warpers in generation/logits_process.py.
func (c Config) candidates(scores []float32, keep int) []candidate {
	left := c.best(scores, keep)
	if c.TopP < 1 {
		left = nucleus(left, c.TopP, keep)
	}
	if c.MinP > 0 {
		left = above(left, c.MinP, keep)
	}
	if c.TypicalP < 1 {
		left = typical(left, c.TypicalP, keep)
	}
	return left
}

// best returns the TopK likeliest tokens, and all that are as likely as the last of them,
// with their scores divided by the temperature.
func (c Config) best(scores []float32, keep int) []candidate {
	var all []candidate
	least := never
	if k := max(c.TopK, keep); c.TopK > 0 && k < len(scores) {
		least = kthLargest(scores, k)
	}
	for id, score := range scores {
		if score >= least && score > never {
			all = append(all, candidate{id, score / float32(c.Temperature)})
		}
	}
	sortCandidates(all)
	return all
}

// sortCandidates puts the likeliest first, of equals that with the lower id.
func sortCandidates(all []candidate) {
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id))
	})
}

// kthLargest returns the k-th largest score, through a heap of the k largest.
func kthLargest(scores []float32, k int) float32 {
	heap := slices.Clone(scores[:k]) // the smallest at the root
	down := func(i int) {
		for {
			child := 2*i + 1
			if child >= k {
				return
			}
			if child+1 < k && heap[child+1] < heap[child] {
				child++
			}
			if heap[i] <= heap[child] {
				return
			}
			heap[i], heap[child] = heap[child], heap[i]
			i = child
		}
	}
	for i := k/2 - 1; i >= 0; i-- {
		down(i)
	}
	for _, score := range scores[k:] {
		if score > heap[0] {
			heap[0] = score
			down(0)
		}
	}
	return heap[0]
}

// nucleus drops the least likely tokens as long as those dropped have at most 1-p together.
// Source: A. Holtzman et al., The Curious Case of Neural Text Degeneration, 2020, arXiv 1904.09751.
func nucleus(from []candidate, p float64, keep int) []candidate {
	probabilities, dropped := softmax(from), 0.0
	for n := len(from); n > 0; n-- {
		if dropped += probabilities[n-1]; dropped > 1-p {
			return from[:max(n, min(keep, len(from)))]
		}
	}
	return from[:min(keep, len(from))]
}

// above drops the tokens that are less likely than p times the likeliest.
func above(from []candidate, p float64, keep int) []candidate {
	probabilities := softmax(from)
	n := 0
	for n < len(from) && probabilities[n] >= p*probabilities[0] {
		n++
	}
	return from[:max(n, min(keep, len(from)))]
}

// typical keeps the tokens whose information is nearest to the entropy, as many as have
// the mass p together.
// Source: C. Meister et al., Locally Typical Sampling, 2022, arXiv 2202.00666.
func typical(from []candidate, p float64, keep int) []candidate {
	probabilities, entropy := softmax(from), 0.0
	for _, q := range probabilities {
		if q > 0 {
			entropy -= q * math.Log(q)
		}
	}
	order := make([]int, len(from))
	distance := make([]float64, len(from))
	for i, q := range probabilities {
		order[i], distance[i] = i, math.Abs(-math.Log(q)-entropy)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(distance[a], distance[b]) })
	n, mass := 0, 0.0
	for n < len(order) {
		mass += probabilities[order[n]]
		n++
		if mass >= p {
			break
		}
	}
	n = max(n, min(keep, len(from)))
	for n < len(order) && distance[order[n]] == distance[order[n-1]] {
		n++ // equals of the last
	}
	var kept []candidate
	for _, i := range order[:n] {
		kept = append(kept, from[i])
	}
	sortCandidates(kept)
	return kept
}

// softmax returns the probabilities of candidates, of which the first is the likeliest.
func softmax(of []candidate) []float64 {
	probabilities, sum := make([]float64, len(of)), 0.0
	for i, c := range of {
		probabilities[i] = math.Exp(float64(c.score - of[0].score))
		sum += probabilities[i]
	}
	for i := range probabilities {
		probabilities[i] /= sum
	}
	return probabilities
}

// draw returns one of the candidates by its probability.
func draw(from []candidate, random *rand.Rand) int {
	u := random.Float64()
	for i, p := range softmax(from) {
		if u -= p; u < 0 {
			return from[i].id
		}
	}
	return from[len(from)-1].id // the probabilities add up to a little less than 1
}
