package kernel

// Lent returns how many pieces of memory are lent, and how many values all slabs hold.
func (p *Pool) Lent() (pieces, values int) {
	for _, s := range p.slabs {
		values += len(s.data)
	}
	return len(p.lent), values
}

// Lend and GiveBack are the pool's own functions.
func (p *Pool) Lend(n int) []float32 { return p.lend(n) }
func (p *Pool) GiveBack(x []float32) { p.giveBack(x) }
