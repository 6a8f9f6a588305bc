package generate

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// beamSearch looks for the likeliest answers, of which it follows several at once.
// Source: transformers 5.23, generation/utils.py, _beam_search.
type beamSearch struct {
	*request
	random   *rand.Rand
	running  []*beam  // none: the search is over
	finished []Answer // the best first, at most NumBeams
	hopeful  bool     // a running beam may still become better than the finished ones
}

// beam is an answer under way with the sum of its tokens' log probabilities.
type beam struct {
	*row
	score float32
}

// continuationBytes is what a continuation takes on machines of 64 bits.
const continuationBytes = 32

// continuation is a beam with one more token.
type continuation struct {
	beam, id int
	score    float32
	key      float64 // by which it is chosen: the score, but for what chance adds
}

func newBeamSearch(r *request, first *row) *beamSearch {
	return &beamSearch{request: r, random: r.random(0), running: []*beam{{row: first}}, hopeful: true}
}

func (s *beamSearch) rows() []*row {
	var rows []*row
	for _, b := range s.running {
		rows = append(rows, b.row)
	}
	return rows
}

func (s *beamSearch) answers() []Answer {
	return s.finished[:min(s.NumReturnSequences, len(s.finished))]
}

func (s *beamSearch) advance(scores [][]float32) error {
	best, err := s.best(scores)
	if err != nil {
		return err
	}
	var running []*beam
	var finished []Answer
	for i, c := range best {
		parent := s.running[c.beam]
		next, reason := s.follow(parent.row, c.id)
		switch {
		case reason == "":
			running = append(running, &beam{row: next, score: c.score})
		case i < s.NumBeams:
			made := next.ids[s.start:]
			finished = append(finished, Answer{IDs: made, Score: float64(s.penalized(c.score, len(made))), Finish: reason})
		}
	}
	slices.SortStableFunc(running, func(a, b *beam) int { return cmp.Compare(b.score, a.score) }) // drawn ones are in no order
	running = running[:min(s.NumBeams, len(running))]
	full := len(s.finished) == s.NumBeams
	if s.hopeful && !(full && s.EarlyStopping == StopWhenFull) {
		s.finished = append(s.finished, finished...)
		slices.SortStableFunc(s.finished, func(a, b Answer) int { return cmp.Compare(b.Score, a.Score) })
		s.finished = s.finished[:min(s.NumBeams, len(s.finished))]
	}
	s.running = running
	s.hopeful = s.hopeful && s.hope()
	full = len(s.finished) == s.NumBeams
	if !s.hopeful || full && s.EarlyStopping == StopWhenFull {
		s.running = nil
	}
	for _, b := range s.running {
		b.inherit()
	}
	return nil
}

// best returns the likeliest continuations of all beams, enough of them that there are
// NumBeams that go on though others end.
func (s *beamSearch) best(scores [][]float32) ([]continuation, error) {
	n := s.continuations() * s.NumBeams
	var all []continuation
	for i, b := range s.running {
		logSoftmax(scores[i])
		s.process(history{b.ids, s.start}, scores[i])
		candidates := Config{Temperature: 1, TopK: n}.best(scores[i], n)
		if s.DoSample {
			candidates = s.candidates(scores[i], s.continuations())
		}
		for _, c := range candidates {
			score := c.score + b.score
			all = append(all, continuation{beam: i, id: c.id, score: score, key: float64(score)})
		}
	}
	if len(all) == 0 {
		return nil, errNoToken
	}
	if s.DoSample { // the largest of log probabilities with Gumbel noise are drawn without replacement
		for i := range all {
			all[i].key -= math.Log(-math.Log(1 - s.random.Float64()))
		}
	}
	slices.SortStableFunc(all, func(a, b continuation) int { return cmp.Compare(b.key, a.key) })
	return all[:min(n, len(all))], nil
}

// penalized is the score by which finished answers of several lengths are compared.
func (s *beamSearch) penalized(score float32, length int) float32 {
	return score / float32(math.Pow(float64(length), s.LengthPenalty))
}

// hope tells whether the best running beam can become better than the worst finished one.
func (s *beamSearch) hope() bool {
	if len(s.finished) < s.NumBeams || len(s.running) == 0 {
		return true
	}
	length := len(s.running[0].ids) - s.start
	if s.EarlyStopping == StopNever && s.LengthPenalty > 0 {
		length = s.MaxNewTokens
	}
	return float64(s.penalized(s.running[0].score, length)) > s.finished[s.NumBeams-1].Score
}

// logSoftmax makes log probabilities of scores.
func logSoftmax(scores []float32) {
	top, sum := slices.Max(scores), 0.0
	for _, score := range scores {
		sum += math.Exp(float64(score - top))
	}
	shift := float64(top) + math.Log(sum)
	for i, score := range scores {
		scores[i] = float32(float64(score) - shift)
	}
}
