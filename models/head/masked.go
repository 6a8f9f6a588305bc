package head

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Masked scores every word for every row: norm(activation(transform)) → decoder.
// All of it is frozen.
// Source: transformers 5.23, modeling_bert.py, BertLMPredictionHead.
type Masked struct {
	nn.Module
	Transform  *layer.Linear
	Activation layer.Activation
	Norm       *layer.Norm
	Decoder    *layer.Linear
}

var _ models.Head = (*Masked)(nil)

// Forward returns [R, vocab].
func (h *Masked) Forward(out models.Output, _ *layer.Dropout) (_ mat.Tensor, err error) {
	defer models.Guard(&err)
	x := h.Transform.Forward(out.Hidden, nil) // [R, d]
	x = kernel.Replace(x, h.Activation(x))
	x = kernel.Replace(x, h.Norm.Forward(x, nil, nil))
	return kernel.Replace(x, h.Decoder.Forward(x, nil)), nil // [R, vocab]
}

// Params lists nothing: PEFT has no task for this head.
func (h *Masked) Params() []models.NamedParam { return nil }

// Clone shares everything.
func (h *Masked) Clone() models.Head { return h }

// Decoder says where a decoder over the vocabulary has its weight and bias.
type Decoder struct {
	Words        kernel.Values // the word embeddings, [Vocab, Width]
	Vocab, Width int
	Tied         bool   // tie_word_embeddings
	Name         string // the decoder's path
	Bias         string // where a tied bias is, if it is not under the decoder's name
}

// ReadDecoder reads the decoder's own weight and bias. A tied model may lack them: its
// weight is the word embeddings then, its bias that of another name. Without ties
// transformers would draw them at random; here they must be there.
// Source: transformers 5.23, modeling_bert.py, BertForMaskedLM._tied_weights_keys;
// modeling_utils.py, tie_weights: what the checkpoint holds itself is not tied.
func ReadDecoder(w *layer.Weights, d Decoder) *layer.Linear {
	weight, bias := d.weight(w), d.Name+".bias"
	if d.Tied && d.Bias != "" && !w.Has(bias) {
		bias = d.Bias
	}
	values := w.Values(bias, d.Vocab)
	if weight.Len() == 0 || values == nil {
		return nil
	}
	return w.NewLinear(weight, values, d.Width)
}

// weight is the decoder's own weight, or the word embeddings.
func (d Decoder) weight(w *layer.Weights) kernel.Values {
	if !d.Tied || w.Has(d.Name+".weight") {
		return w.Stored(d.Name+".weight", d.Vocab, d.Width)
	}
	return d.Words
}
