//go:build linux && amd64 && !purego

package simd

import "syscall"

// allowTiles asks Linux for the registers of AMX, which a process has only on demand: they make its signal frames larger.
func allowTiles() bool {
	const requestPermission, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
	_, _, failed := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return failed == 0
}
