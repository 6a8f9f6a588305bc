package hfio

import "fmt"

// pickler writes what CPython's pickler does, in protocol 2: each string, tuple
// and global goes into the memo when it is first written.
type pickler struct {
	out     []byte
	next    int
	globals map[string]int
	words   map[string]int // strings that Python holds once
}

// pickleTensors returns the pickle of a dict of tensors whose storages are 0, 1, ….
func pickleTensors(tensors []Tensor) []byte {
	p := &pickler{globals: map[string]int{}, words: map[string]int{}}
	p.raw("\x80\x02}")
	p.memoise()
	const batch = 1000 // of CPython
	for start := 0; start < len(tensors); start += batch {
		part := tensors[start:min(start+batch, len(tensors))]
		if len(part) > 1 {
			p.raw("(")
		}
		for i, t := range part {
			p.text(t.Name)
			p.tensor(t, fmt.Sprint(start+i))
		}
		if len(part) > 1 {
			p.raw("u")
		} else {
			p.raw("s")
		}
	}
	p.raw(".")
	return p.out
}

func (p *pickler) raw(s string) { p.out = append(p.out, s...) }

// memoise stores the value on top of the stack.
func (p *pickler) memoise() int {
	n := p.next
	p.next++
	if n < 256 {
		p.out = append(p.out, 'q', byte(n))
	} else {
		p.out = le.AppendUint32(append(p.out, 'r'), uint32(n))
	}
	return n
}

func (p *pickler) get(n int) {
	if n < 256 {
		p.out = append(p.out, 'h', byte(n))
	} else {
		p.out = le.AppendUint32(append(p.out, 'j'), uint32(n))
	}
}

func (p *pickler) text(s string) int {
	p.out = le.AppendUint32(append(p.out, 'X'), uint32(len(s)))
	p.raw(s)
	return p.memoise()
}

// word writes a string that is one object in torch's code.
func (p *pickler) word(s string) {
	if n, ok := p.words[s]; ok {
		p.get(n)
		return
	}
	p.words[s] = p.text(s)
}

func (p *pickler) global(module, name string) {
	key := module + "\n" + name + "\n"
	if n, ok := p.globals[key]; ok {
		p.get(n)
		return
	}
	p.raw("c" + key)
	p.globals[key] = p.memoise()
}

func (p *pickler) integer(n int) {
	switch {
	case n < 1<<8:
		p.out = append(p.out, 'K', byte(n))
	case n < 1<<16:
		p.out = le.AppendUint16(append(p.out, 'M'), uint16(n))
	case n < 1<<31:
		p.out = le.AppendUint32(append(p.out, 'J'), uint32(n))
	default:
		p.long(n)
	}
}

// long writes an integer in the fewest bytes of two's complement.
func (p *pickler) long(n int) {
	size := 1
	for n>>(8*size-1) != 0 {
		size++
	}
	p.out = append(p.out, 0x8a, byte(size))
	for i := range size {
		p.out = append(p.out, byte(n>>(8*i)))
	}
}

func (p *pickler) integers(list []int) {
	if len(list) == 0 {
		p.raw(")")
		return
	}
	if len(list) > 3 {
		p.raw("(")
	}
	for _, n := range list {
		p.integer(n)
	}
	p.raw([]string{"", "\x85", "\x86", "\x87", "t"}[min(len(list), 4)])
	p.memoise()
}

// tensor writes the call of _rebuild_tensor_v2 that makes it.
func (p *pickler) tensor(t Tensor, key string) {
	p.global("torch._utils", "_rebuild_tensor_v2")
	p.raw("((")
	p.word("storage")
	p.global("torch", torchStorageClass[t.DType])
	p.text(key)
	p.word("cpu")
	p.integer(t.Size())
	p.raw("t")
	p.memoise()
	p.raw("Q")
	p.integer(0)
	p.integers(t.Shape)
	p.integers(rowMajor(t.Shape))
	p.raw("\x89") // requires_grad
	p.global("collections", "OrderedDict")
	p.raw(")R")
	p.memoise()
	p.raw("t")
	p.memoise()
	p.raw("R")
	p.memoise()
}

// rowMajor returns the strides of a contiguous tensor as torch gives them: a
// dimension of 0 counts as 1.
func rowMajor(shape []int) []int {
	stride := make([]int, len(shape))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		stride[i] = step
		step *= max(shape[i], 1)
	}
	return stride
}
