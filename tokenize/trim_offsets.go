package tokenize

import "fmt"

// trimmed says that a post-processor trims the offsets of tokens with white space at
// their ends.
type trimmed struct {
	prefixSpace bool // the first token's first space was put there
}

// readTrimmed reads whether it does so.
func readTrimmed(on, prefixSpace bool) []trimmed {
	if !on {
		return nil
	}
	return []trimmed{{prefixSpace}}
}

func readByteLevelPost(o *object) *template {
	o.raw("use_regex") // the pre-tokeniser's
	t := bare
	t.trim = readTrimmed(o.optionalBool("trim_offsets", true), o.optionalBool("add_prefix_space", true))
	return &t
}

// readRoberta reads RoBERTa's template: <s> A </s>, <s> A </s></s> B </s>, of one type.
func readRoberta(o *object) *template {
	cls, sep := specialPart(o, "cls"), specialPart(o, "sep")
	return &template{
		single: []part{cls, {sequence: 0}, sep},
		pair:   []part{cls, {sequence: 0}, sep, sep, {sequence: 1}, sep},
		trim:   readTrimmed(o.bool("trim_offsets"), o.bool("add_prefix_space")),
	}
}

// readPostSequence reads several post-processors, of which one may be a template.
func readPostSequence(o *object) *template {
	all, templates := bare, 0
	for _, item := range o.list("processors") {
		kind := item.string("type")
		one := readKind(item, kind, postProcessors)
		if one == nil {
			continue
		}
		all.trim = append(all.trim, one.trim...)
		if kind != "ByteLevel" {
			all.single, all.pair = one.single, one.pair
			templates++
		}
	}
	if templates > 1 {
		o.wrong("processors", fmt.Sprintf("%d templates", templates), "at most one")
	}
	return &all
}

// apply trims the offsets of one sequence's tokens, whose texts text gives.
// Source: tokenizers 0.23, pre_tokenizers/byte_level.rs, process_offsets.
func (t trimmed) apply(tokens []found, text func(found) string) {
	for i := range tokens {
		f := &tokens[i]
		characters := []rune(text(*f))
		isSpace := func(r rune) bool { return r == byteCharacters[' '] || isWhite(r) }
		leading, trailing := 0, 0
		for leading < len(characters) && isSpace(characters[leading]) {
			leading++
		}
		for trailing < len(characters) && isSpace(characters[len(characters)-1-trailing]) {
			trailing++
		}
		if leading > 0 {
			if t.prefixSpace && leading == 1 && (i == 0 || f.from == 0) {
				leading = 0 // more than one were not put there
			}
			f.from = min(f.from+int32(leading), f.to)
		}
		if trailing > 0 && int(f.to) >= trailing {
			f.to = max(f.to-int32(trailing), f.from)
		}
	}
}
