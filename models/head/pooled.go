package head

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Pooler is a frozen layer before the scores, norm(activation(linear(dropout(x)))): PEFT
// neither trains nor saves it.
type Pooler struct {
	Dropout    float32 // of what it reads
	Linear     *layer.Linear
	Activation layer.Activation
	Norm       *layer.Norm // nil: none
}

func (p Pooler) forward(x mat.Tensor, deltas *layer.Deltas, dropout *layer.Dropout) mat.Tensor {
	if p.Dropout > 0 {
		x = kernel.Dropout(x, dropout.Mask(p.Dropout))
	}
	x = p.Linear.Forward(x, deltas)
	x = kernel.Replace(x, p.Activation(x))
	if p.Norm != nil {
		x = kernel.Replace(x, p.Norm.Forward(x, nil, deltas))
	}
	return x
}

// pooled scores what a pooler makes of rows.
type pooled struct {
	nn.Module
	pooler  Pooler
	dropout float32
	Scores  Optional
}

// score returns the scores of rows that lie in these spans.
func (h *pooled) score(x mat.Tensor, out models.Output, spans []models.Span, dropout *layer.Dropout) mat.Tensor {
	deltas := models.DeltasOf(out.Prompts, spans, dropout)
	x = h.pooler.forward(x, deltas, dropout)
	return h.Scores.forward(kernel.Dropout(x, dropout.Mask(h.dropout)), deltas)
}

// Params lists the scores' layer where it is trained.
func (h *pooled) Params() []models.NamedParam { return h.Scores.params() }

func (h *pooled) clone() pooled {
	return pooled{pooler: h.pooler, dropout: h.dropout, Scores: h.Scores.clone()}
}

// first pools the first row of each sequence.
// Source: transformers 5.23, modeling_bert.py, BertPooler and BertForSequenceClassification.
type first struct{ pooled }

var _ models.FirstRowReader = (*first)(nil)

// NewPooled returns the head dropout(pooler(first row)) → scores.
func NewPooled(pooler Pooler, dropout float32, scores Linear) models.Head {
	return &first{pooled{pooler: pooler, dropout: dropout, Scores: Always(scores)}}
}

func (h *first) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	rows, alone := models.FirstRows(out.Spans)
	return h.score(kernel.Gather(out.Hidden, rows), out, alone, dropout), nil // [B, C]
}

// ReadsFirstRows spares the last layer the other rows.
func (h *first) ReadsFirstRows() {}

func (h *first) Clone() models.Head { return &first{h.clone()} }

// mean pools the mean of the rows of each sequence, virtual tokens' among them.
// Source: transformers 5.23, modeling_modernbert.py, ModernBertForSequenceClassification.
type mean struct{ pooled }

// NewMean returns the head dropout(pooler(mean of the rows)) → scores.
func NewMean(pooler Pooler, dropout float32, scores Linear) models.Head {
	return &mean{pooled{pooler: pooler, dropout: dropout, Scores: Always(scores)}}
}

func (h *mean) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	_, alone := models.FirstRows(out.Spans)
	return h.score(kernel.MeanRows(out.Hidden, models.KernelSpans(out.Spans)), out, alone, dropout), nil // [B, C]
}

func (h *mean) Clone() models.Head { return &mean{h.clone()} }

// each pools every row by itself.
// Source: transformers 5.23, modeling_modernbert.py, ModernBertForTokenClassification.
type each struct{ pooled }

// NewEach returns the head dropout(pooler(row)) → scores.
func NewEach(pooler Pooler, dropout float32, scores Optional) models.Head {
	return &each{pooled{pooler: pooler, dropout: dropout, Scores: scores}}
}

func (h *each) Forward(out models.Output, dropout *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	return h.score(out.Hidden, out, out.Spans, dropout), nil // [R, C]
}

func (h *each) Clone() models.Head { return &each{h.clone()} }
