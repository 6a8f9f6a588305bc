package hfio

import (
	"os"
	"unsafe"

	"github.com/edsrzf/mmap-go"
)

// hold keeps a file until Close.
func (c *Checkpoint) hold(file *contents, closeFile func() error) {
	c.files = append(c.files, closeFile)
	if file.mapped != nil {
		c.mapped = append(c.mapped, file.mapped)
	}
}

// Release says that nobody reads the data of a tensor of the checkpoint for now: what it
// takes of this process's memory as a mapped file is given back. It can be read again at
// any time, also while Release runs; its pages come back then, from the system's cache of
// the file as a rule. It does nothing for data that is not mapped, or on a system other
// than Linux.
func (c *Checkpoint) Release(t Tensor) {
	for _, m := range c.mapped {
		if from, ok := offsetIn(m, t.Data); ok {
			dropPages(wholePages(m, from, from+len(t.Data)))
			return
		}
	}
}

// offsetIn tells where in a mapping the data lies.
func offsetIn(m mmap.MMap, data []byte) (from int, ok bool) {
	if len(data) == 0 {
		return 0, false
	}
	first, at := uintptr(unsafe.Pointer(unsafe.SliceData(m))), uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	if at < first || at-first+uintptr(len(data)) > uintptr(len(m)) {
		return 0, false
	}
	return int(at - first), true
}

// wholePages is the part of [from, to) that is pages of its own. A mapping begins at a page.
func wholePages(m mmap.MMap, from, to int) []byte {
	page := os.Getpagesize()
	from, to = (from+page-1)/page*page, to/page*page
	if from >= to {
		return nil
	}
	return m[from:to]
}
