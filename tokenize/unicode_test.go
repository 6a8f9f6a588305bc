package tokenize

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// What each stage makes of every character of Unicode, in digests of blocks of
// 4096 characters that compat_test/oracle/tokenize_tiny.py took from the official library.
func TestEveryCharacter(t *testing.T) {
	data, err := os.ReadFile("testdata/unicode.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	normal := func(clean, han, strip, lower bool) func(string) string {
		n := newBertNormalizer(clean, han, strip, lower)
		return func(s string) string { return normalizeString(n, s) }
	}
	steps := map[string]func(string) string{
		"clean_text":           normal(true, false, false, false),
		"handle_chinese_chars": normal(false, true, false, false),
		"strip_accents":        normal(false, false, true, false),
		"lowercase":            normal(false, false, false, true),
		"words":                words,
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

func digest(step func(string) string, first rune) string {
	hash := sha256.New()
	for r := first; r < first+4096; r++ {
		if 0xd800 <= r && r <= 0xdfff {
			continue
		}
		hash.Write([]byte(step("a" + string(r) + "b")))
		hash.Write([]byte{'\n'})
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

func words(s string) string {
	var t text
	t.load(s, 0)
	t.oneWord(0, len(t.bytes))
	bertPreTokenizer{}.preTokenize(&t)
	var words []string
	for _, w := range t.words {
		words = append(words, string(t.bytes[w.start:w.end]))
	}
	return strings.Join(words, "\x00")
}
