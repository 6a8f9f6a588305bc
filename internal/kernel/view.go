package kernel

import "github.com/nlpodyssey/spago/mat"

// view is a matrix inside a slice: element (r, c) is data[r*stride+c].
type view struct {
	data       []float32
	rows, cols int
	stride     int
}

// viewOf is the whole of x.
func viewOf(x mat.Tensor) view { return view{Data(x), Rows(x), Cols(x), Cols(x)} }

func (t *Tensor) view() view { return viewOf(t) }

// row returns row r.
func (v view) row(r int) []float32 { return v.data[r*v.stride:][:v.cols] }

// rowsFrom returns the rows [from, to).
func (v view) rowsFrom(from, to int) view {
	return view{v.data[from*v.stride:], to - from, v.cols, v.stride}
}

// part returns the first rows and columns.
func (v view) part(rows, cols int) view { return view{v.data, rows, cols, v.stride} }

// columns returns the columns [from, to).
func (v view) columns(from, to int) view {
	return view{v.data[from:], v.rows, to - from, v.stride}
}

// copyTo copies the view's elements to a view of the same shape.
func (v view) copyTo(dst view) {
	for r := range v.rows {
		copy(dst.row(r), v.row(r))
	}
}

// clear sets all elements to 0.
func (v view) clear() {
	for r := range v.rows {
		clear(v.row(r))
	}
}
