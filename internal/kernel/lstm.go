package kernel

import (
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"
)

// LSTMCell is the trained parameters of one direction of one layer, as
// torch.nn.LSTM names them. The 4·h rows are the gates in torch's order: input,
// forget, cell, output.
type LSTMCell struct {
	InputWeight  *nn.Param // weight_ih, [4·h, in]
	HiddenWeight *nn.Param // weight_hh, [4·h, h]
	InputBias    *nn.Param // bias_ih, [1, 4·h]
	HiddenBias   *nn.Param // bias_hh, [1, 4·h]
}

func (c LSTMCell) params() []*nn.Param {
	return []*nn.Param{c.InputWeight, c.HiddenWeight, c.InputBias, c.HiddenBias}
}

// LSTM runs one layer over one sequence x [T, in], from a state of zeros. One
// cell gives [T, h]; two cells make the layer bidirectional: the second runs from
// the last row to the first, and row t of the result is its state of the first
// cell, then that of the second, [T, 2·h], as torch.nn.LSTM(bidirectional=True).
func LSTM(x mat.Tensor, cells ...LSTMCell) mat.Tensor {
	if len(cells) < 1 || len(cells) > 2 {
		fail("LSTM", "%d cells, want one or two", len(cells))
	}
	o := &lstm{x: x}
	for i, c := range cells {
		checkCell(i, c, Cols(x))
		if hidden := Cols(c.HiddenWeight); i > 0 && hidden != Cols(cells[0].HiddenWeight) {
			fail("LSTM", "hidden sizes %d and %d differ", Cols(cells[0].HiddenWeight), hidden)
		}
		o.passes = append(o.passes, &lstmPass{LSTMCell: c, reversed: i == 1})
	}
	return run(o)
}

func checkCell(i int, c LSTMCell, in int) {
	for _, p := range c.params() {
		if p == nil {
			fail("LSTM", "cell %d lacks a parameter", i)
		}
	}
	hidden := Cols(c.HiddenWeight)
	if hidden == 0 {
		fail("LSTM", "cell %d: the hidden size is 0", i)
	}
	want := [][]int{{4 * hidden, in}, {4 * hidden, hidden}, {1, 4 * hidden}, {1, 4 * hidden}}
	for n, p := range c.params() {
		if !slices.Equal(p.Shape(), want[n]) {
			name := []string{"input weight", "hidden weight", "input bias", "hidden bias"}[n]
			fail("LSTM", "cell %d: %s is %v, want %v", i, name, p.Shape(), want[n])
		}
	}
}

type lstm struct {
	x      mat.Tensor
	passes []*lstmPass
}

// lstmPass is one direction of the layer and what its gradient needs.
type lstmPass struct {
	LSTMCell
	reversed bool
	gates    *Tensor // [T, 4·h], after sigmoid and tanh
	cells    *Tensor // [T, h], the cell state c
	states   *Tensor // [T, h], the hidden state
}

func (o *lstm) operands() []mat.Tensor {
	xs := []mat.Tensor{o.x}
	for _, p := range o.passes {
		for _, param := range p.params() {
			xs = append(xs, param)
		}
	}
	return xs
}

func (o *lstm) forward(m *memory) *Tensor {
	hidden := Cols(o.passes[0].HiddenWeight)
	m.keep(o.x)
	y := m.take(Rows(o.x), hidden*len(o.passes))
	for i, p := range o.passes {
		p.run(m, viewOf(o.x))
		p.states.view().copyTo(y.view().columns(i*hidden, (i+1)*hidden))
	}
	return y
}

func (o *lstm) backward(m *memory, gradient []float32) {
	hidden, x := Cols(o.passes[0].HiddenWeight), viewOf(o.x)
	gy := view{gradient, x.rows, hidden * len(o.passes), hidden * len(o.passes)}
	var gx *Tensor
	for i, p := range o.passes {
		dGates := p.gateGradients(m, gy.columns(i*hidden, (i+1)*hidden))
		p.paramGradients(m, dGates, x)
		if !o.x.RequiresGrad() {
			continue
		}
		part := m.take(x.rows, x.cols)
		multiplyNN(part.view(), dGates, viewOf(p.InputWeight))
		if gx == nil {
			gx = part
			continue
		}
		addTo(gx.data, part.data)
		part.release()
	}
	if gx != nil {
		m.accumulate(o.x, gx)
	}
}

// row returns the row that the pass reads at a step.
func (p *lstmPass) row(step, rows int) int {
	if p.reversed {
		return rows - 1 - step
	}
	return step
}

// run computes gates, cells and states of all rows.
func (p *lstmPass) run(m *memory, x view) {
	hidden := Cols(p.HiddenWeight)
	p.gates, p.cells, p.states = m.buffer(x.rows, 4*hidden), m.buffer(x.rows, hidden), m.buffer(x.rows, hidden)
	for _, kept := range []*Tensor{p.gates, p.cells, p.states} {
		m.keep(kept)
	}
	bias := slices.Clone(Data(p.InputBias))
	addTo(bias, Data(p.HiddenBias))
	multiplyNT(p.gates.view(), x, viewOf(p.InputWeight), bias)

	recurrent, fromState := packTransposed(viewOf(p.HiddenWeight)), make([]float32, 4*hidden)
	cell, state := make([]float32, hidden), make([]float32, hidden)
	for step := range x.rows {
		row := p.row(step, x.rows)
		gates := p.gates.view().row(row)
		multiply(view{fromState, 1, 4 * hidden, 4 * hidden}, view{state, 1, hidden, hidden}, recurrent, nil)
		addTo(gates, fromState)
		nextCell, nextState := p.cells.view().row(row), p.states.view().row(row)
		lstmStep(gates, cell, nextCell, nextState)
		cell, state = nextCell, nextState
	}
}

// lstmStep turns the sums of the gates into their values and computes the next
// cell and hidden state.
func lstmStep(gates, cell, nextCell, nextState []float32) {
	hidden := len(cell)
	input, forget, candidate, output := gates[:hidden], gates[hidden:2*hidden], gates[2*hidden:3*hidden], gates[3*hidden:]
	for j := range cell {
		i, f := sigmoid(float64(input[j])), sigmoid(float64(forget[j]))
		g, o := math.Tanh(float64(candidate[j])), sigmoid(float64(output[j]))
		c := f*float64(cell[j]) + i*g
		input[j], forget[j], candidate[j], output[j] = float32(i), float32(f), float32(g), float32(o)
		nextCell[j], nextState[j] = float32(c), float32(o*math.Tanh(c))
	}
}

// gateGradients goes back through time and returns the gradient of the gates'
// sums, [T, 4·h].
func (p *lstmPass) gateGradients(m *memory, gy view) view {
	hidden := gy.cols
	dGates := m.buffer(gy.rows, 4*hidden).view()
	recurrent := pack(viewOf(p.HiddenWeight))
	dState, dCell, zeros := make([]float32, hidden), make([]float32, hidden), make([]float32, hidden)
	for step := gy.rows - 1; step >= 0; step-- {
		row := p.row(step, gy.rows)
		before := zeros
		if step > 0 {
			before = p.cells.view().row(p.row(step-1, gy.rows))
		}
		addTo(dState, gy.row(row))
		d := dGates.row(row)
		lstmStepBackward(d, p.gates.view().row(row), p.cells.view().row(row), before, dState, dCell)
		multiply(view{dState, 1, hidden, hidden}, view{d, 1, 4 * hidden, 4 * hidden}, recurrent, nil)
	}
	return dGates
}

// lstmStepBackward computes the gradients d of the gates' sums from that of the
// hidden state, and moves dCell, the gradient of the cell, one step back.
func lstmStepBackward(d, gates, cell, before, dState, dCell []float32) {
	hidden := len(cell)
	for j := range cell {
		i, f := float64(gates[j]), float64(gates[hidden+j])
		g, o := float64(gates[2*hidden+j]), float64(gates[3*hidden+j])
		tanh, dh := math.Tanh(float64(cell[j])), float64(dState[j])
		dc := float64(dCell[j]) + dh*o*(1-tanh*tanh)
		d[j] = float32(dc * g * i * (1 - i))
		d[hidden+j] = float32(dc * float64(before[j]) * f * (1 - f))
		d[2*hidden+j] = float32(dc * i * (1 - g*g))
		d[3*hidden+j] = float32(dh * tanh * o * (1 - o))
		dCell[j] = float32(dc * f)
	}
}

// paramGradients hands the parameters their gradients.
func (p *lstmPass) paramGradients(m *memory, dGates, x view) {
	if p.InputWeight.RequiresGrad() {
		g := m.take(dGates.cols, x.cols)
		multiplyTN(g.view(), dGates, x, false)
		m.accumulate(p.InputWeight, g)
	}
	if p.HiddenWeight.RequiresGrad() {
		g := m.take(dGates.cols, dGates.cols/4)
		multiplyTN(g.view(), dGates, p.previousStates(m, x.rows), false)
		m.accumulate(p.HiddenWeight, g)
	}
	for _, bias := range []*nn.Param{p.InputBias, p.HiddenBias} {
		if bias.RequiresGrad() {
			m.accumulate(bias, m.like(bias, columnSums(dGates)))
		}
	}
}

// previousStates returns for each row the state that went into its step, [T, h].
func (p *lstmPass) previousStates(m *memory, rows int) view {
	previous := m.buffer(rows, Cols(p.HiddenWeight)).view()
	clear(previous.data) // of the first step
	for step := 1; step < rows; step++ {
		copy(previous.row(p.row(step, rows)), p.states.view().row(p.row(step-1, rows)))
	}
	return previous
}
