package deberta

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// convolution adds to what the first layer makes of the embeddings what it makes of each and
// its neighbours.
// Source: transformers 5.23, modeling_deberta_v2.py, ConvLayer.
type convolution struct {
	size       int
	linear     *layer.Linear // of the rows around one, beside each other
	activation layer.Activation
	norm       *layer.Norm
	dropout    float32
}

func newConvolution(c config, w *layer.Weights) *convolution {
	d, size := c.Hidden, c.convolution
	v := &convolution{size: size, activation: c.convolutionActivation, norm: w.Norm("LayerNorm", d, c.NormEps), dropout: c.HiddenDropout}
	weight, bias := w.Values("conv.weight", d, d, size), w.Values("conv.bias", d)
	if weight == nil || bias == nil {
		return v
	}
	beside := make([]float32, len(weight)) // [out, size·in] of [out, in, size]
	for i, value := range weight {
		row, column, at := i/(d*size), i/size%d, i%size
		beside[row*d*size+at*d+column] = value
	}
	v.linear = w.NewLinear(kernel.Values{Float32: beside}, bias, size*d)
	return v
}

// behind returns the pass of the first layer and of the convolution.
func (v *convolution) behind(dropout *layer.Dropout, first stack.Forward) stack.Forward {
	mask := dropout.Mask(v.dropout)
	return func(x mat.Tensor, in stack.Input) mat.Tensor {
		y := kernel.Neighbours(x, in.Spans, v.size) // [R, size·d]
		y = kernel.Replace(y, in.Keep(y))
		y = kernel.Replace(y, v.linear.Forward(y, nil)) // [R, d]
		y = kernel.Replace(y, kernel.Dropout(y, mask))
		y = kernel.Replace(y, v.activation(y))
		own := first(kernel.Tee(x), in)
		z := v.norm.Forward(y, own, in.Wanted)
		kernel.Release(y)
		kernel.Release(own)
		return z
	}
}
