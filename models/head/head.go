// Package head holds the heads that architectures share, one kind a file, and [Reader],
// through which an architecture makes them: it gives the names and the sizes that
// transformers' classes have.
//
// Under a prompt of input rows the first row of a sequence is the first virtual
// token's, as in PEFT.
package head

import (
	"fmt"

	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Reader makes what is trained of a head: read from the checkpoint where it is there in
// the wanted size, else drawn anew, as transformers does.
type Reader struct {
	weights *layer.Weights
	spec    models.HeadSpec
	std     float64
	isNew   bool
	err     error
}

// NewReader returns the reader of a head; std is initializer_range.
func NewReader(w *layer.Weights, spec models.HeadSpec, std float64) *Reader {
	return &Reader{weights: w, spec: spec, std: std}
}

// Linear is a linear layer that is trained and saved with an adapter, under its name.
type Linear struct {
	nn.Module
	*layer.TrainedLinear
	name string
}

// Linear makes a layer [out, in].
func (r *Reader) Linear(name string, out, in int) Linear { return r.linear(name, out, in, true) }

func (r *Reader) linear(name string, out, in int, bias bool) Linear {
	if r.spec.Rand == nil || r.weights.HasShape(name+".weight", out, in) {
		return Linear{TrainedLinear: r.weights.TrainedLinear(name, out, in, bias), name: name}
	}
	r.isNew = true
	return Linear{TrainedLinear: layer.NewTrainedLinear(out, in, bias, r.std, r.spec.Rand), name: name}
}

// Scores makes the layer that gives a score a label.
func (r *Reader) Scores(name string, in int) Linear { return r.scores(name, in, true) }

// PlainScores is Scores without a bias.
func (r *Reader) PlainScores(name string, in int) Linear { return r.scores(name, in, false) }

func (r *Reader) scores(name string, in int, bias bool) Linear {
	if len(r.spec.Labels) == 0 {
		r.err = fmt.Errorf("%w: found none, want at least 1", models.ErrLabels)
		return Linear{}
	}
	return r.linear(name, len(r.spec.Labels), in, bias)
}

// Span makes qa_outputs, the layer that gives the scores of an answer's start and end.
func (r *Reader) Span(in int) Linear { return r.Linear("qa_outputs", 2, in) }

// Made returns what [models.HeadedBackbone] promises of NewHead.
func (r *Reader) Made(h models.Head) (head models.Head, isNew bool, err error) {
	if r.err != nil {
		return nil, false, r.err
	}
	return h, r.isNew, nil
}

// NoneBeside is None beside a pooler of transformers' model that no hidden state comes from: with all
// biases PEFT saves its bias, and adds to it where it is a target. A checkpoint may lack it.
func (r *Reader) NoneBeside(pooler string, hidden int) (head models.Head, isNew bool, err error) {
	if r.spec.Task == models.FeatureExtraction && r.weights.HasShape(pooler+".weight", hidden, hidden) {
		r.weights.Linear(pooler, hidden, hidden)
	}
	return r.None()
}

// None is the head of FEATURE_EXTRACTION, nil. Any other task is one that the
// architecture has no head for.
func (r *Reader) None() (head models.Head, isNew bool, err error) {
	if r.spec.Task != models.FeatureExtraction {
		return nil, false, fmt.Errorf("%w: %s", models.ErrUnsupportedTask, r.spec.Task)
	}
	return nil, false, nil
}

// clone returns a copy that is trained by itself.
func (l Linear) clone() Linear { return Linear{TrainedLinear: l.Clone(), name: l.name} }

// params lists what is trained of a head.
func params(linears ...Linear) []models.NamedParam {
	var all []models.NamedParam
	for _, l := range linears {
		all = append(all, models.NamedParam{Name: l.name + ".weight", Param: l.Weight})
		if l.Bias != nil {
			all = append(all, models.NamedParam{Name: l.name + ".bias", Param: l.Bias})
		}
	}
	return all
}
