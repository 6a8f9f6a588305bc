package tokenize

import (
	"strings"
	"unicode/utf8"
)

// metaspace writes spaces as sentencepiece does, with a character that can be seen.
type metaspace struct {
	space  rune
	prefix prefixScheme
	words  preTokenizer // each space begins a word; nil: they are left whole
}

// prefixScheme says before which words a space is put that begin with none.
type prefixScheme string

const (
	prefixAlways prefixScheme = "always"
	prefixFirst  prefixScheme = "first" // at the beginning of the text only
	prefixNever  prefixScheme = "never"
)

func readMetaspace(o *object) metaspace {
	o.raw("str_rep") // once a copy of replacement
	m := metaspace{
		space:  o.character("replacement"),
		prefix: prefixScheme(o.optionalString("prepend_scheme", string(prefixAlways))),
	}
	if o.optionalBool("split", true) {
		m.words = split{find: findString(string(m.space)), behavior: behaviors["MergedWithNext"]}
	}
	switch m.prefix {
	case prefixAlways, prefixFirst, prefixNever:
	default:
		o.wrong("prepend_scheme", quoted(string(m.prefix)), "always, first or never")
	}
	if !o.optionalBool("add_prefix_space", true) {
		if o.has("prepend_scheme") && m.prefix != prefixNever {
			o.wrong("add_prefix_space", "false", "true, or a prepend_scheme of never")
		}
		m.prefix = prefixNever
	}
	return m
}

func readMetaspacePreTokenizer(o *object) preTokenizer { return readMetaspace(o) }

func (m metaspace) preTokenize(t *text) {
	t.rewrite(func(to *text, w span) {
		r, _ := utf8.DecodeRune(t.bytes[w.start:w.end])
		if r != ' ' && r != m.space && (m.prefix == prefixAlways || m.prefix == prefixFirst && t.from[w.start] == 0) {
			to.put(m.space, t.from[w.start], t.to[w.start])
		}
		for i := w.start; i < w.end; i++ {
			if t.bytes[i] == ' ' {
				to.put(m.space, t.from[i], t.to[i])
			} else {
				to.putByte(t.bytes[i], t.from[i], t.to[i])
			}
		}
	})
	if m.words != nil {
		m.words.preTokenize(t)
	}
}

// metaspaceDecoder turns the characters back into spaces, but not those of the first token.
type metaspaceDecoder struct {
	metaspace
	next  sink
	count int // tokens that have begun
}

func readMetaspaceDecoder(o *object) decoder { return readMetaspace(o) }

func (m metaspace) decode(next sink) decoding { return &metaspaceDecoder{metaspace: m, next: next} }

func (d *metaspaceDecoder) add(c chunk) {
	if c.begins {
		d.count++
	}
	space := " "
	if d.count == 1 && d.prefix != prefixNever {
		space = ""
	}
	c.text = strings.ReplaceAll(c.text, string(d.space), space)
	d.next(c)
}

func (d *metaspaceDecoder) end() {}

func (d *metaspaceDecoder) copy(next sink) decoding {
	return &metaspaceDecoder{d.metaspace, next, d.count}
}
