package bert

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// NewHead makes the head of a task: read from the checkpoint where it is there with
// this number of scores, else drawn anew (isNew), as transformers does. A nil head is that of
// FEATURE_EXTRACTION. Problems of tensors are noted in the weights.
func (m *Model) NewHead(w *layer.Weights, spec models.HeadSpec) (head models.Head, isNew bool, err error) {
	c := m.config
	switch spec.Task {
	case models.FeatureExtraction:
		return nil, false, nil
	case models.SeqCls:
		linear, isNew, err := m.scores(w, "classifier", len(spec.Labels), spec)
		return &sequenceHead{
			pooler: w.Linear("pooler.dense", c.Hidden, c.Hidden), dropout: c.classifierDropout, Classifier: linear,
		}, isNew, err
	case models.TokenCls:
		linear, isNew, err := m.scores(w, "classifier", len(spec.Labels), spec)
		return &tokenHead{name: "classifier", dropout: c.classifierDropout, Scores: linear}, isNew, err
	case models.QuestionAns:
		linear, isNew, err := m.scores(w, "qa_outputs", 2, spec)
		return &tokenHead{name: "qa_outputs", Scores: linear}, isNew, err
	case models.MaskedLM:
		return newMaskedHead(m, w.At("cls", "predictions")), false, nil
	}
	return nil, false, fmt.Errorf("%w: %s", models.ErrUnsupportedTask, spec.Task)
}

// scores reads the linear layer that gives the scores, or draws a new one.
func (m *Model) scores(w *layer.Weights, name string, n int, spec models.HeadSpec) (*layer.TrainedLinear, bool, error) {
	if n < 1 {
		return nil, false, fmt.Errorf("%w: found none, want at least 1", models.ErrLabels)
	}
	if spec.Rand == nil || w.HasShape(name+".weight", n, m.config.Hidden) {
		return w.TrainedLinear(name, n, m.config.Hidden), false, nil
	}
	return layer.NewTrainedLinear(n, m.config.Hidden, m.config.initRange, spec.Rand), true, nil
}

// sequenceHead pools the first row of each sequence, which under a prompt of input rows is the
// first virtual token's, as in PEFT.
// Source: transformers 5.23, modeling_bert.py, BertPooler and BertForSequenceClassification.
type sequenceHead struct {
	nn.Module
	pooler     *layer.Linear // frozen: PEFT neither trains nor saves it
	dropout    float32
	Classifier *layer.TrainedLinear
}

func (h *sequenceHead) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	first, alone := models.FirstRows(out.Spans)
	deltas := models.DeltasOf(out.Prompts, alone, dropout)
	pooled := kernel.Tanh(h.pooler.Forward(kernel.Gather(out.Hidden, first), deltas)) // [B, d]
	return h.Classifier.Forward(kernel.Dropout(pooled, dropout.Mask(h.dropout))), nil
}

// ReadsFirstRows spares the last layer the other rows.
func (h *sequenceHead) ReadsFirstRows() {}

func (h *sequenceHead) Params() []models.NamedParam { return params("classifier", h.Classifier) }

func (h *sequenceHead) Clone() models.Head {
	return &sequenceHead{pooler: h.pooler, dropout: h.dropout, Classifier: h.Classifier.Clone()}
}

// tokenHead gives every row its scores: the classes of a token, or start and end of
// an answer.
type tokenHead struct {
	nn.Module
	name    string
	dropout float32
	Scores  *layer.TrainedLinear
}

func (h *tokenHead) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	return h.Scores.Forward(kernel.Dropout(out.Hidden, dropout.Mask(h.dropout))), nil
}

func (h *tokenHead) Params() []models.NamedParam { return params(h.name, h.Scores) }

func (h *tokenHead) Clone() models.Head {
	return &tokenHead{name: h.name, dropout: h.dropout, Scores: h.Scores.Clone()}
}

func params(name string, l *layer.TrainedLinear) []models.NamedParam {
	return []models.NamedParam{{Name: name + ".weight", Param: l.Weight}, {Name: name + ".bias", Param: l.Bias}}
}

// maskedHead scores every word for every row. All of it is frozen.
// Source: transformers 5.23, modeling_bert.py, BertLMPredictionHead.
type maskedHead struct {
	nn.Module
	transform  *layer.Linear
	activation layer.Activation
	norm       *layer.Norm
	decoder    *layer.Linear
}

func newMaskedHead(m *Model, w *layer.Weights) models.Head {
	c := m.config
	return &maskedHead{
		transform:  w.Linear("transform.dense", c.Hidden, c.Hidden),
		activation: c.activation,
		norm:       w.Norm("transform.LayerNorm", c.Hidden, c.normEps),
		decoder:    newDecoder(m, w),
	}
}

// newDecoder reads the decoder's own weight and bias. A tied model may lack them: its
// weight is the word embeddings then, its bias predictions.bias. Without ties
// transformers would draw them at random; here they must be there.
// Source: transformers 5.23, modeling_bert.py, BertForMaskedLM._tied_weights_keys;
// modeling_utils.py, tie_weights: what the checkpoint holds itself is not tied.
func newDecoder(m *Model, w *layer.Weights) *layer.Linear {
	c, weight, bias := m.config, m.embeddings.word, []float32(nil)
	if !c.tied || w.Has("decoder.weight") {
		weight = w.Stored("decoder.weight", c.Vocab, c.Hidden)
	}
	if !c.tied || w.Has("decoder.bias") {
		bias = w.Values("decoder.bias", c.Vocab)
	} else {
		bias = w.Values("bias", c.Vocab)
	}
	if weight.Len() == 0 || bias == nil {
		return nil
	}
	return w.NewLinear(weight, bias, c.Hidden)
}

func (h *maskedHead) Forward(out models.Output, _ *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	x := h.transform.Forward(out.Hidden, nil) // [R, d]
	x = kernel.Replace(x, h.activation(x))
	x = kernel.Replace(x, h.norm.Forward(x, nil))
	return kernel.Replace(x, h.decoder.Forward(x, nil)), nil // [R, vocab]
}

func (h *maskedHead) Params() []models.NamedParam { return nil }

func (h *maskedHead) Clone() models.Head { return h }
