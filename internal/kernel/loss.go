package kernel

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/simd"
)

// Ignored is the target that the cross entropies leave out of their mean.
const Ignored = -100

// CrossEntropy returns the mean over the rows of logits [R, C] of
// -log softmax(row)[target], rows whose target is [Ignored] left out: a scalar,
// as torch.nn.CrossEntropyLoss. With every row ignored it is NaN, as in torch,
// with a gradient of zeros.
func CrossEntropy(logits mat.Tensor, targets []int) mat.Tensor {
	return WeightedCrossEntropy(logits, targets, nil)
}

// WeightedCrossEntropy is CrossEntropy with the terms of the rows times weights, nil for 1:
// the mean is still over their number.
func WeightedCrossEntropy(logits mat.Tensor, targets []int, weights []float32) mat.Tensor {
	classes := Cols(logits)
	if len(targets) != Rows(logits) || classes == 0 {
		fail("CrossEntropy", "%d targets for logits %v", len(targets), logits.Shape())
	}
	if weights != nil && len(weights) != len(targets) {
		fail("CrossEntropy", "%d weights for %d targets", len(weights), len(targets))
	}
	for i, target := range targets {
		if target != Ignored && (target < 0 || target >= classes) {
			fail("CrossEntropy", "target %d is %d, want one of %d classes or %d", i, target, classes, Ignored)
		}
	}
	o := &crossEntropy{x: logits}
	for r, target := range targets {
		if target != Ignored {
			c := choice{start: r * classes, step: 1, n: classes, target: target, weight: 1}
			if weights != nil {
				c.weight = float64(weights[r])
			}
			o.choices = append(o.choices, c)
		}
	}
	for i := range o.choices {
		o.choices[i].weight /= float64(len(o.choices))
	}
	o.undefined = len(o.choices) == 0
	return run(o)
}

// SpanCrossEntropy returns the loss of extractive question answering on logits
// [R, 2], start scores in column 0 and end scores in column 1: the mean of the
// start and the end loss, each the mean over the sequences of the cross entropy
// over the rows of the sequence's span. starts and ends count from the first row
// of their span. As in transformers (modeling_bert.py,
// BertForQuestionAnswering.forward) a negative position counts as 0 and one at
// or beyond the span's end leaves the sequence out; with every sequence left
// out the loss is NaN.
func SpanCrossEntropy(logits mat.Tensor, spans []Span, starts, ends []int) mat.Tensor {
	if Cols(logits) != 2 {
		fail("SpanCrossEntropy", "logits are %v, want [R 2]", logits.Shape())
	}
	if len(starts) != len(spans) || len(ends) != len(spans) {
		fail("SpanCrossEntropy", "%d starts and %d ends for %d spans", len(starts), len(ends), len(spans))
	}
	checkSpans("SpanCrossEntropy", spans, Rows(logits))
	o := &crossEntropy{x: logits}
	for column, positions := range [][]int{starts, ends} {
		first := len(o.choices)
		for i, s := range spans {
			if target := max(0, positions[i]); target < s.Len() {
				o.choices = append(o.choices, choice{start: 2*s.Start + column, step: 2, n: s.Len(), target: target})
			}
		}
		kept := o.choices[first:]
		for i := range kept {
			kept[i].weight = 0.5 / float64(len(kept))
		}
		o.undefined = o.undefined || len(kept) == 0
	}
	return run(o)
}

// choice is one softmax over n logits and the one that is right.
type choice struct {
	start, step, n int // logit j is x[start+j·step]
	target         int
	weight         float64 // of its loss in the mean
	loss           float64
}

// logits copies the choice's logits to e.
func (c choice) logits(e, x []float32) {
	if c.step == 1 {
		copy(e, x[c.start:][:c.n])
		return
	}
	for j := range e {
		e[j] = x[c.start+j*c.step]
	}
}

type crossEntropy struct {
	x         mat.Tensor
	choices   []choice
	undefined bool // a mean over nothing
}

func (o *crossEntropy) operands() []mat.Tensor { return []mat.Tensor{o.x} }

// each calls f with every choice and exp(logit - top) of its logits, top being the largest.
func (o *crossEntropy) each(f func(c *choice, e []float32, top, logSum float64)) {
	if len(o.choices) == 0 {
		return
	}
	x := Data(o.x)
	simd.Parallel(len(o.choices), exponentialsGrain(o.choices[0].n), func(from, to int) {
		w := workspaces.Get().(*workspace)
		defer workspaces.Put(w)
		for i := range o.choices[from:to] {
			c := &o.choices[from+i]
			w.reset()
			e := w.take(1, c.n).row(0)
			c.logits(e, x)
			top, logSum := exponentials(e)
			f(c, e, top, logSum)
		}
	})
}

func (o *crossEntropy) forward(m *memory) *Tensor {
	m.keep(o.x)
	x := Data(o.x)
	o.each(func(c *choice, _ []float32, _, logSum float64) {
		c.loss = logSum - float64(x[c.start+c.target*c.step])
	})
	loss := 0.0
	for _, c := range o.choices {
		loss += c.weight * c.loss
	}
	if o.undefined {
		loss = math.NaN()
	}
	return scalar(loss)
}

// The gradient of -log softmax(x)[target] is softmax(x), less 1 at the target.
func (o *crossEntropy) backward(m *memory, gradient []float32) {
	gx := m.zeros(Rows(o.x), Cols(o.x))
	o.each(func(c *choice, e []float32, top, logSum float64) {
		scale, inverse := float64(gradient[0])*c.weight, math.Exp(top-logSum)
		factor, right := float32(scale*inverse), scale*(float64(e[c.target])*inverse-1)
		scaleExponentials(gx.data[c.start:], c.step, e, factor)
		gx.data[c.start+c.target*c.step] = float32(right)
	})
	m.accumulate(o.x, gx)
}

// exponentials replaces logits by exp(logit - top) and returns top, the largest of them, and
// log Σ exp(logit), summed in float64. An infinite top gives NaN, as in torch.
func exponentials(e []float32) (top, logSum float64) {
	largest, _ := simd.SoftmaxRow(e, 1)
	if top = float64(largest); math.IsInf(top, 0) {
		return top, math.NaN()
	}
	return top, top + math.Log(simd.Sum(e))
}

// negligible is what a logit's exponential must exceed, the largest being 1, to have a gradient: far
// below the rounding of the others, and above what a mean over a batch would make a denormal
// number. Products with such numbers take a hundred times as long on some CPUs.
const negligible = 0x1p-90

// scaleExponentials writes factor times the exponentials in e to every step-th place of to, which may be e.
func scaleExponentials(to []float32, step int, e []float32, factor float32) {
	for j, v := range e {
		if v < negligible {
			v = 0
		}
		to[j*step] = factor * v
	}
}

// exponentialsGrain is how many rows of n logits are worth a goroutine.
func exponentialsGrain(n int) int { return 1 + 1<<14/n }

// MSE returns the mean of (x - target)² over all elements of x [R, C]; targets
// lie row by row. As torch.nn.MSELoss.
func MSE(x mat.Tensor, targets []float32) mat.Tensor {
	checkTargets("MSE", x, targets)
	return run(&elementLoss{x, targets, func(v, target float64) (float64, float64) {
		return (v - target) * (v - target), 2 * (v - target)
	}})
}

// BCEWithLogits returns the mean over all elements of logits [R, C] of the
// binary cross entropy of sigmoid(x) and the target, which lies in [0, 1];
// targets lie row by row. As torch.nn.BCEWithLogitsLoss.
func BCEWithLogits(logits mat.Tensor, targets []float32) mat.Tensor {
	checkTargets("BCEWithLogits", logits, targets)
	return run(&elementLoss{logits, targets, func(v, target float64) (float64, float64) {
		// -t·log σ(v) - (1-t)·log(1-σ(v)) without overflow.
		loss := math.Max(v, 0) - v*target + math.Log1p(math.Exp(-math.Abs(v)))
		return loss, sigmoid(v) - target
	}})
}

func checkTargets(op string, x mat.Tensor, targets []float32) {
	if len(targets) != Rows(x)*Cols(x) {
		fail(op, "%d targets for %v", len(targets), x.Shape())
	}
}

// elementLoss is the mean of a loss of each element.
type elementLoss struct {
	x       mat.Tensor
	targets []float32
	each    func(v, target float64) (loss, derivative float64)
}

func (o *elementLoss) operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *elementLoss) forward(m *memory) *Tensor {
	m.keep(o.x)
	sum := 0.0
	for i, v := range Data(o.x) {
		loss, _ := o.each(float64(v), float64(o.targets[i]))
		sum += loss
	}
	return scalar(sum / float64(len(o.targets))) // NaN over nothing, as torch
}

func (o *elementLoss) backward(m *memory, gradient []float32) {
	scale := float64(gradient[0]) / float64(len(o.targets))
	gx := m.take(Rows(o.x), Cols(o.x))
	for i, v := range Data(o.x) {
		_, derivative := o.each(float64(v), float64(o.targets[i]))
		gx.data[i] = float32(scale * derivative)
	}
	m.accumulate(o.x, gx)
}

// scalar is not the pool's: a loss may be read after its backward pass.
func scalar(v float64) *Tensor { return New(1, 1, []float32{float32(v)}) }

// sigmoid is 1/(1+e^-v) without overflow.
func sigmoid(v float64) float64 {
	if v < 0 {
		e := math.Exp(v)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-v))
}
