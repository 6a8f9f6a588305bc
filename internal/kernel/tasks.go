package kernel

import "github.com/nlpodyssey/spago/mat"

// TaskPrompts returns x ⊙ (Aₜ·Bₜ) for each task t of tasks, one under the other:
// [len(tasks)·P, d]. x is [P, d]; left holds every task's Aₜ [P, r] one under the
// other, and right every task's Bₜ [r, d]. The tasks must differ. It is one operator,
// so that the gradient of x is a sum in the order of the tasks.
func TaskPrompts(x, left, right mat.Tensor, tasks []int) mat.Tensor {
	p, r := Rows(x), Cols(left)
	if p == 0 || r == 0 || Rows(left)%p != 0 || Rows(right) != Rows(left)/p*r || Cols(right) != Cols(x) {
		fail("TaskPrompts", "left is %v and right is %v for x %v", left.Shape(), right.Shape(), x.Shape())
	}
	seen := map[int]bool{}
	for i, t := range tasks {
		if t < 0 || t >= Rows(left)/p || seen[t] {
			fail("TaskPrompts", "task %d is %d, want different ones below %d", i, t, Rows(left)/p)
		}
		seen[t] = true
	}
	return run(&taskPrompts{x, left, right, tasks})
}

type taskPrompts struct {
	x, left, right mat.Tensor
	tasks          []int
}

func (o *taskPrompts) operands() []mat.Tensor { return []mat.Tensor{o.x, o.left, o.right} }

func (o *taskPrompts) forward(m *memory) *Tensor {
	for _, x := range o.operands() {
		m.keep(x)
	}
	y := m.zeros(len(o.tasks)*Rows(o.x), Cols(o.x))
	for i, t := range o.tasks {
		o.eachRow(t, func(row int, left, right []float32) {
			scale := y.data[(i*Rows(o.x)+row)*Cols(o.x):][:Cols(o.x)]
			multiplyRow(scale, left, right)
			for j, v := range Data(o.x)[row*Cols(o.x):][:Cols(o.x)] {
				scale[j] *= v
			}
		})
	}
	return y
}

// eachRow calls f with every row of a task's matrix Aₜ, and with its Bₜ.
func (o *taskPrompts) eachRow(task int, f func(row int, left, right []float32)) {
	p, r, d := Rows(o.x), Cols(o.left), Cols(o.x)
	right := Data(o.right)[task*r*d:][:r*d]
	for row := range p {
		f(row, Data(o.left)[(task*p+row)*r:][:r], right)
	}
}

// multiplyRow adds the vector left times the matrix right to sum.
func multiplyRow(sum, left, right []float32) {
	for k, a := range left {
		for j, b := range right[k*len(sum):][:len(sum)] {
			sum[j] += a * b
		}
	}
}

func (o *taskPrompts) backward(m *memory, gradient []float32) {
	p, r, d := Rows(o.x), Cols(o.left), Cols(o.x)
	gx, gl, gr := m.zeros(p, d), m.zeros(Rows(o.left), r), m.zeros(Rows(o.right), d)
	scale := m.buffer(1, d)
	for i, t := range o.tasks {
		o.eachRow(t, func(row int, left, right []float32) {
			g, x := gradient[(i*p+row)*d:][:d], Data(o.x)[row*d:][:d]
			clear(scale.data)
			multiplyRow(scale.data, left, right)
			for j, v := range g {
				gx.data[row*d+j] += v * scale.data[j]
				scale.data[j] = v * x[j] // now the gradient of the row of Aₜ·Bₜ
			}
			for k, a := range left {
				to, b := gr.data[(t*r+k)*d:][:d], right[k*d:][:d]
				var sum float32
				for j, v := range scale.data {
					sum += v * b[j]
					to[j] += v * a
				}
				gl.data[(t*p+row)*r+k] = sum
			}
		})
	}
	for i, own := range []*Tensor{gx, gl, gr} {
		if to := o.operands()[i]; to.RequiresGrad() {
			m.accumulate(to, own)
		} else {
			own.release()
		}
	}
}
