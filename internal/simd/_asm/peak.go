package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peak makes loops of nothing but independent products and sums in registers, whose rate no kernel can exceed.
func (a *assembler) peak() {
	loops := []struct {
		name, what string
		add        func(a *assembler, b, x, sum reg.VecPhysical)
	}{{"float32", "float32", multiplyAdd}}
	if a.wide() {
		loops = append(loops, struct {
			name, what string
			add        func(a *assembler, b, x, sum reg.VecPhysical)
		}{"bfloat16", "pairs of bfloat16", (*assembler).dotBFloat16})
	}
	sums := a.regs[:len(a.regs)-2]
	b, x := a.regs[len(sums)], a.regs[len(sums)+1]
	for _, l := range loops {
		a.begin(l.name, "(turns int)", fmt.Sprintf("multiplies and adds %d vectors of %d %s in every turn.", len(sums), a.width, l.what))
		for _, r := range a.regs {
			a.zero(r)
		}
		a.Load(a.Param("turns"), reg.RCX)
		loop := a.label("loop")
		a.Label(loop)
		for _, sum := range sums {
			l.add(a, b, x, sum)
		}
		a.DECQ(reg.RCX)
		a.JNZ(operand.LabelRef(loop))
		a.end()
	}
}
