//go:build !linux && amd64 && !purego

package simd

func allowTiles() bool { return false }
