package hfio

import (
	"fmt"
	"hash/crc32"
)

// torchZip writes a zip as torch does: stored entries without time, sizes behind
// the data, data aligned to 64 bytes by an extra field, zip64 end records always.
// Source: pytorch, caffe2/serialize/inline_container.cc (PyTorchStreamWriter).
type torchZip struct {
	prefix  string
	out     []byte
	entries []zipEntry
}

type zipEntry struct {
	name     string // without the prefix
	at, size int
	crc      uint32
}

const (
	torchAlignment = 64
	zipUTF8        = 0x0800 // the name is UTF-8
	zipSizesBehind = 0x0008 // sizes are in a descriptor behind the data
)

// flags returns those of an entry; an empty one has no descriptor.
func (e *zipEntry) flags() int {
	if e.size == 0 {
		return zipUTF8
	}
	return zipUTF8 | zipSizesBehind
}

func (z *torchZip) add(name string, data []byte) {
	e := zipEntry{name: name, at: len(z.out), size: len(data), crc: crc32.ChecksumIEEE(data)}
	full := z.prefix + name
	padding := -(len(z.out) + 30 + len(full) + 4) & (torchAlignment - 1)
	z.text("PK\x03\x04")
	z.u16(0, e.flags(), 0, 0, 0)
	z.u32(0, 0, 0)
	z.u16(len(full), 4+padding)
	z.text(full + "FB")
	z.u16(padding)
	for range padding {
		z.out = append(z.out, 'Z')
	}
	z.out = append(z.out, data...)
	if e.size > 0 {
		z.text("PK\x07\x08")
		z.u32(int(e.crc), e.size, e.size)
	}
	z.entries = append(z.entries, e)
}

// finish writes the directory and returns the file.
func (z *torchZip) finish() []byte {
	start, n := len(z.out), len(z.entries)
	for _, e := range z.entries {
		z.text("PK\x01\x02")
		z.u16(0, 0, e.flags(), 0, 0, 0)
		z.u32(int(e.crc), e.size, e.size)
		z.u16(len(z.prefix)+len(e.name), 0, 0, 0, 0)
		z.u32(0, e.at)
		z.text(z.prefix + e.name)
	}
	end := len(z.out)
	z.text("PK\x06\x06")
	z.u64(44)
	z.u16(0x031e, 0x2d)
	z.u32(0, 0)
	z.u64(n, n, end-start, start)
	z.text("PK\x06\x07")
	z.u32(0)
	z.u64(end)
	z.u32(1)
	z.text("PK\x05\x06")
	z.u16(0, 0, min(n, 0xffff), min(n, 0xffff))
	z.u32(end-start, start)
	z.u16(0)
	return z.out
}

func (z *torchZip) text(s string) { z.out = append(z.out, s...) }

func (z *torchZip) u16(values ...int) {
	for _, v := range values {
		z.out = le.AppendUint16(z.out, uint16(v))
	}
}

func (z *torchZip) u32(values ...int) {
	for _, v := range values {
		z.out = le.AppendUint32(z.out, uint32(v))
	}
}

func (z *torchZip) u64(values ...int) {
	for _, v := range values {
		z.out = le.AppendUint64(z.out, uint64(v))
	}
}

// serialisationID returns what torch marks a file with: 20 digits of a hash over
// the entries' names and 20 of one over their checksums. The names are combined in
// the order in which libstdc++'s unordered_set gives them.
func (z *torchZip) serialisationID() []byte {
	var names, sums uint64
	set := cppSet{}
	for _, e := range z.entries {
		set.insert(cppHash(e.name))
		if e.size > 0 {
			sums = hashCombine(sums, uint64(e.crc))
		}
	}
	for _, h := range set.ordered() {
		names = hashCombine(names, h)
	}
	return fmt.Appendf(nil, "%020d%020d", names, sums)
}

// hashCombine is at::hash_combine.
func hashCombine(seed, value uint64) uint64 {
	return seed ^ (value + 0x9e3779b9 + seed<<6 + seed>>2)
}

// cppHash is std::hash of a string in libstdc++: MurmurHash64A (Austin Appleby,
// public domain) with a seed of its own.
func cppHash(s string) uint64 {
	const mul = 0xc6a4a7935bd1e995
	h := 0xc70f6907 ^ uint64(len(s))*mul
	for ; len(s) >= 8; s = s[8:] {
		k := le.Uint64([]byte(s[:8])) * mul
		k ^= k >> 47
		h = (h ^ k*mul) * mul
	}
	if len(s) > 0 {
		var rest [8]byte
		copy(rest[:], s)
		h = (h ^ le.Uint64(rest[:])) * mul
	}
	h = (h ^ h>>47) * mul
	return h ^ h>>47
}

// cppSet holds hashes in the order of libstdc++'s unordered_set: the bucket filled
// last comes first, and in a bucket the hash inserted last.
type cppSet struct {
	buckets uint64
	order   []uint64            // the buckets by the time of their first hash
	chains  map[uint64][]uint64 // their hashes by time
	size    int
}

// cppPrimes are the numbers of buckets that libstdc++ grows through.
var cppPrimes = []uint64{
	13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229, 172933, 351061, 712697, 1447153,
}

func (s *cppSet) insert(h uint64) {
	if s.size++; uint64(s.size) > s.buckets {
		all := s.ordered()
		for i := 0; i < len(cppPrimes) && s.buckets < uint64(s.size); i++ {
			s.buckets = max(s.buckets, cppPrimes[i])
		}
		s.order, s.chains = nil, map[uint64][]uint64{}
		for _, old := range all {
			s.place(old)
		}
	}
	s.place(h)
}

func (s *cppSet) place(h uint64) {
	bucket := h % max(s.buckets, 1)
	if len(s.chains[bucket]) == 0 {
		s.order = append(s.order, bucket)
	}
	s.chains[bucket] = append(s.chains[bucket], h)
}

func (s *cppSet) ordered() []uint64 {
	var all []uint64
	for i := len(s.order) - 1; i >= 0; i-- {
		chain := s.chains[s.order[i]]
		for j := len(chain) - 1; j >= 0; j-- {
			all = append(all, chain[j])
		}
	}
	return all
}
