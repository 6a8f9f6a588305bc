package tokenize

import "unicode/utf8"

// bertPreTokenizer cuts at white space, which goes, and around each
// punctuation character, which stays as a word.
type bertPreTokenizer struct{}

func readBertPreTokenizer(*object) preTokenizer { return bertPreTokenizer{} }

// asciiCut is classWhite or classPunctuation for the ASCII characters that cut words.
var asciiCut = func() (cut [utf8.RuneSelf]class) {
	for i := range cut {
		cut[i] = classOf(rune(i)) & (classWhite | classPunctuation)
	}
	return cut
}()

func (bertPreTokenizer) preTokenize(t *text) {
	words := t.spare[:0]
	for _, w := range t.words {
		words = cutWords(words, t.bytes, w)
	}
	t.words, t.spare = words, t.words
}

func cutWords(words []span, bytes []byte, w span) []span {
	start := w.start
	for i := w.start; i < w.end; {
		cut, size := class(0), int32(1)
		if b := bytes[i]; b < utf8.RuneSelf {
			cut = asciiCut[b]
		} else {
			r, n := utf8.DecodeRune(bytes[i:w.end])
			cut, size = classOf(r)&(classWhite|classPunctuation), int32(n)
		}
		if cut != 0 {
			if start < i {
				words = append(words, span{start, i})
			}
			if cut&classPunctuation != 0 {
				words = append(words, span{i, i + size})
			}
			start = i + size
		}
		i += size
	}
	if start < w.end {
		words = append(words, span{start, w.end})
	}
	return words
}
