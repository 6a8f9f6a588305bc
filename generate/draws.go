package generate

import (
	"math/rand/v2"

	"github.com/gopeft/gopeft/models"
)

// draws makes answers token by token: the likeliest each time, or drawn ones.
type draws struct {
	*request
	open []*drawn // answers under way
	done []Answer // by their numbers
}

// drawn is an answer under way.
type drawn struct {
	*row
	number int
	random *rand.Rand
}

func newDraws(r *request, first *row) *draws {
	return &draws{request: r, open: []*drawn{{row: first, number: -1}}, done: make([]Answer, r.NumReturnSequences)}
}

func (s *draws) rows() []*row {
	var rows []*row
	for _, d := range s.open {
		rows = append(rows, d.row)
	}
	return rows
}

func (s *draws) answers() []Answer { return s.done }

func (s *draws) advance(scores [][]float32) error {
	var open []*drawn
	for i, d := range s.open {
		s.process(history{d.ids, s.start}, scores[i])
		for _, next := range s.branches(d) {
			id, err := s.choose(scores[i], next.random)
			if err != nil {
				return err
			}
			if s.OnToken != nil {
				s.OnToken(next.number, id)
			}
			var reason Finish
			next.row, reason = s.follow(d.row, id)
			if reason != "" {
				s.done[next.number] = Answer{IDs: next.ids[s.start:], Finish: reason}
				continue
			}
			next.inherit()
			open = append(open, next)
		}
	}
	s.open = open
	return nil
}

// branches returns what goes on from an answer: itself or, from the prompt, all answers.
func (s *draws) branches(d *drawn) []*drawn {
	if d.number >= 0 {
		return []*drawn{d}
	}
	branches := make([]*drawn, s.NumReturnSequences)
	for i := range branches {
		branches[i] = &drawn{number: i, random: s.random(i)}
	}
	return branches
}

func (s *draws) choose(scores []float32, random *rand.Rand) (int, error) {
	if !s.DoSample {
		if id := models.Argmax(scores); scores[id] > never {
			return id, nil
		}
		return 0, errNoToken
	}
	candidates := s.candidates(scores, 1)
	if len(candidates) == 0 {
		return 0, errNoToken
	}
	return draw(candidates, random), nil
}
