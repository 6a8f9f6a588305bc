//go:build amd64 && !purego

package peak

import (
	"golang.org/x/sys/cpu"

	"github.com/gopeft/gopeft/internal/simd"
)

// loops returns the best loops that this CPU can run.
func loops() (float32s, bfloat16s loop) {
	const sums512, sums256 = 30, 14
	x := cpu.X86
	switch {
	case simd.Active() == simd.AMX:
		config := simd.TileConfig(32, 16)
		return loop{float32AVX512, sums512 * 16 * 2}, loop{func(turns int) { bfloat16AMX(&config[0], turns) }, 4 * 16 * 16 * 32 * 2}
	case x.HasAVX512F && x.HasAVX512BF16:
		return loop{float32AVX512, sums512 * 16 * 2}, loop{bfloat16AVX512, sums512 * 32 * 2}
	case x.HasAVX512F:
		return loop{float32AVX512, sums512 * 16 * 2}, loop{}
	case x.HasAVX2 && x.HasFMA:
		return loop{float32AVX2, sums256 * 8 * 2}, loop{}
	}
	return loop{}, loop{}
}
