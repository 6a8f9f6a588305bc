//go:build (!amd64 && !arm64) || purego

package simd

// available lists the implementations that this machine can run, the best first.
func available() []*kernels { return []*kernels{generic} }
