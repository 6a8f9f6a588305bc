package hfio

import "golang.org/x/sys/unix"

// dropPages takes the pages of a mapped file, which nobody has written, out of the process.
func dropPages(pages []byte) {
	if len(pages) > 0 {
		_ = unix.Madvise(pages, unix.MADV_DONTNEED) // on an error they stay, which does no harm
	}
}
