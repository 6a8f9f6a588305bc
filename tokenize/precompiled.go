package tokenize

import (
	"encoding/base64"
	"encoding/binary"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// charsmap is a normaliser that sentencepiece has compiled: a double array of bytes
// (Aoe 1989), whose leaves are places in texts that end with zero bytes.
// Source: sentencepiece, normalizer.cc; spm_precompiled, lib.rs.
type charsmap struct {
	units []uint32
	texts string
}

func readPrecompiled(o *object) normalizer {
	encoded := o.string("precompiled_charsmap")
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		o.wrong("precompiled_charsmap", err.Error(), "base64")
		return nil
	}
	m, problem := parseCharsmap(data)
	if problem != "" {
		o.wrong("precompiled_charsmap", problem, "the length of a double array, the array and texts")
		return nil
	}
	return m
}

// parseCharsmap reads the size of the units in bytes, the units, and the texts. It
// returns what is wrong, or "".
func parseCharsmap(data []byte) (*charsmap, string) {
	if len(data) < 4 {
		return nil, "no length"
	}
	size := binary.LittleEndian.Uint32(data)
	data = data[4:]
	units := make([]uint32, min(int(size/4), len(data)/4))
	for i := range units {
		units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	switch texts := data[4*len(units):]; {
	case len(units) < int(size/4):
		return nil, "an array that is cut off"
	case len(units) == 0:
		return nil, "an array of no units"
	case !utf8.Valid(texts):
		return nil, "texts that are not UTF-8"
	default:
		return &charsmap{units: units, texts: string(texts)}, ""
	}
}

// offsetOf says how far from a unit its children are.
func offsetOf(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// lookup returns the text for the shortest beginning of s that has one.
func (m *charsmap) lookup(s []byte) (string, bool) {
	at := offsetOf(m.units[0])
	for _, b := range s {
		if at ^= uint32(b); b == 0 || int(at) >= len(m.units) {
			return "", false
		}
		unit := m.units[at]
		if unit&(1<<31|0xff) != uint32(b) {
			return "", false
		}
		at ^= offsetOf(unit)
		if unit>>8&1 == 1 && int(at) < len(m.units) {
			return m.text(m.units[at] & (1<<31 - 1)), true
		}
	}
	return "", false
}

func (m *charsmap) text(at uint32) string {
	start := min(int(at), len(m.texts))
	end := start
	for end < len(m.texts) && m.texts[end] != 0 {
		end++
	}
	return m.texts[start:end]
}

// longestGrapheme is how many bytes of what a reader takes for one character are looked
// up together; those of longer ones are looked up one by one.
const longestGrapheme = 5

// normalize replaces whole graphemes, however short the beginning is that has a text,
// and else their characters: the reference does so.
// Source: tokenizers 0.23, normalizers/precompiled.rs.
func (m *charsmap) normalize(in, out *text) {
	w := charsmapWriter{edit: edit{in: in, out: out}}
	for s := in.bytes; len(s) > 0; {
		size := graphemeLength(s)
		if size <= longestGrapheme {
			if text, ok := m.lookup(s[:size]); ok {
				w.replace(utf8.RuneCount(s[:size]), text)
				s = s[size:]
				continue
			}
		}
		for end := len(s) - size; len(s) > end; {
			r, width := utf8.DecodeRune(s)
			if text, ok := m.lookup(s[:width]); ok {
				w.replace(1, text)
			} else {
				w.add(r, 0)
			}
			s = s[width:]
		}
	}
	w.flush()
}

// graphemeLength is the length of the extended grapheme cluster that s begins with.
func graphemeLength(s []byte) int {
	// Between two ASCII characters there is a boundary, but not between CR and LF.
	if len(s) == 1 || s[0] < utf8.RuneSelf && s[1] < utf8.RuneSelf && s[0] != '\r' {
		return 1
	}
	cluster, _, _, _ := uniseg.FirstGraphemeCluster(s, -1)
	return len(cluster)
}

// charsmapWriter keeps the last character: what is removed after it counts with it.
type charsmapWriter struct {
	edit
	last    rune
	added   int
	waiting bool
}

func (w *charsmapWriter) add(r rune, added int) {
	w.flush()
	w.last, w.added, w.waiting = r, added, true
}

func (w *charsmapWriter) flush() {
	if w.waiting {
		w.put(w.last, w.added)
	}
	w.waiting = false
}

// replace puts a text in the place of so many characters.
func (w *charsmapWriter) replace(characters int, text string) {
	number := 0
	for _, r := range text {
		number++
		w.add(r, min(max(number-characters, 0), 1))
	}
	// The reference forgets what is removed where nothing stands before it.
	if w.waiting && number < characters {
		w.added -= characters - number
	}
}
