package tokenize

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// What each stage makes of every character of Unicode, in digests of blocks of
// 4096 characters that compat_test/oracle/tokenize_tiny.py took from the official library.
func TestEveryCharacter(t *testing.T) {
	if testing.Short() {
		t.Skip("millions of characters, and nothing concurrent")
	}
	data, err := os.ReadFile("testdata/unicode.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	var in, out text
	apply := func(n normalizer) func(string) []byte {
		return func(s string) []byte {
			in.load(s, 0)
			out.reset()
			n.normalize(&in, &out)
			return out.bytes
		}
	}
	normal := func(clean, han, strip, lower bool) func(string) []byte {
		return apply(newBertNormalizer(clean, han, strip, lower))
	}
	steps := map[string]func(string) []byte{
		"clean_text":           normal(true, false, false, false),
		"handle_chinese_chars": normal(false, true, false, false),
		"strip_accents":        normal(false, false, true, false),
		"lowercase":            normal(false, false, false, true),
		"nfkc":                 apply(readNFKC(nil)),
		"nfkd":                 apply(readNFKD(nil)),
		"StripAccents":         apply(readStripAccents(nil)),
		"words":                func(s string) []byte { return words(bertPreTokenizer{}, s) },
		"cased words": func(s string) []byte {
			cased := split{find: splitPatterns[gpt4oPattern]}
			return slices.Concat(words(cased, s), []byte{0}, words(cased, s[1:len(s)-1]+"Bd"))
		},
	}
	got := map[string][]string{}
	for name, step := range steps {
		for first := rune(0); first <= unicode.MaxRune; first += 4096 {
			got[name] = append(got[name], digest(step, first))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("digests of blocks of 4096 characters (-want +got):\n%s", diff)
	}
}

func digest(step func(string) []byte, first rune) string {
	hash := sha256.New()
	for r := first; r < first+4096; r++ {
		if 0xd800 <= r && r <= 0xdfff {
			continue
		}
		hash.Write(append(step("a"+string(r)+"b"), '\n'))
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// words returns the words of s with zero bytes between them.
func words(cut preTokenizer, s string) []byte {
	var t text
	t.load(s, 0)
	t.oneWord(0, len(t.bytes))
	cut.preTokenize(&t)
	var words [][]byte
	for _, w := range t.words {
		words = append(words, t.bytes[w.start:w.end])
	}
	return bytes.Join(words, []byte{0})
}
