package kernel

// Lent returns how many pieces of memory are lent, and how many values all slabs hold.
func (p *Pool) Lent() (pieces, values int) { return p.loans, p.size }

// Lend lends n values; the function gives them back.
func (p *Pool) Lend(n int) ([]float32, func()) {
	data, l := p.lend(n)
	return data, func() { p.giveBack(l) }
}
