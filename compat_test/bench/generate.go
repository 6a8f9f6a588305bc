package main

import (
	"context"
	"runtime/pprof"
	"time"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/generate"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// writeTexts goes on from the sequences of every line of the data, greedily and by the
// same number of tokens, all sequences of a line together, whatever their adapters.
func writeTexts(ctx context.Context, j job) (result, error) {
	lines, base, files, err := openJob(j)
	if err != nil {
		return result{}, err
	}
	defer files.Close()
	frozen, err := frozenAdapters(j, base)
	if err != nil {
		return result{}, err
	}
	config, err := generate.ReadConfig(hfio.Dir(j.Base), base.Config)
	if err != nil {
		return result{}, err
	}
	config.EOS = nil // answers have the length that is asked for
	watched := *base
	scores := &scoreWatch{Head: base.Head}
	watched.Head = scores
	generator, err := generate.New(&watched)
	if err != nil {
		return result{}, err
	}
	var r result
	for i, line := range lines {
		if i == j.Warm && j.Profile != "" {
			if err := startProfile(j.Profile); err != nil {
				return r, err
			}
			defer pprof.StopCPUProfile()
		}
		config.MaxNewTokens = line.Written
		requests := make([]generate.Request, len(line.Batch))
		check := make([][]float64, len(line.Batch))
		for k, e := range line.Batch {
			requests[k] = generate.Request{IDs: e.IDs, Adapter: frozen[e.Adapter], Config: config}
			requests[k].OnToken = func(_, id int) { check[k] = append(check[k], scores.of(k, id)) }
		}
		began := time.Now()
		answers, err := generator.Run(ctx, requests)
		if err != nil {
			return r, err
		}
		if i >= j.Warm {
			r.Seconds = append(r.Seconds, time.Since(began).Seconds())
			r.Tokens = append(r.Tokens, len(answers)*line.Written)
		}
		for k, a := range answers {
			r.Written = append(r.Written, a[0].IDs)
			r.Check = append(r.Check, check[k]...)
		}
	}
	return r, nil
}

func frozenAdapters(j job, base *models.Model) ([]*adapters.Frozen, error) {
	list := make([]*adapters.Frozen, len(j.Adapters))
	for i, dir := range j.Adapters {
		tuned, err := adapters.Load(hfio.Dir(dir), base)
		if err != nil {
			return nil, err
		}
		if list[i], err = tuned.Freeze(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// scoreWatch is a language model's head that remembers the scores of the last rows.
type scoreWatch struct {
	models.Head
	scores []float32
	vocab  int
}

// Forward implements models.Head.
func (w *scoreWatch) Forward(out models.Output, dropout *layer.Dropout) (mat.Tensor, error) {
	logits, err := w.Head.Forward(out, dropout)
	if err == nil {
		w.scores, w.vocab = models.Values(logits), logits.Shape()[1]
	}
	return logits, err
}

// of returns the score of a token in the last row of a request. No request ends before the
// others do, so that the rows are the requests.
func (w *scoreWatch) of(request, token int) float64 { return float64(w.scores[request*w.vocab+token]) }
