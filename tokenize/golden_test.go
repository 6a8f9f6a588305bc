package tokenize_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gopeft/gopeft/tokenize"
)

// golden is a line of compat_test/oracle/tokenize_fixtures.py.
type golden struct {
	Input struct {
		Text      string
		Pair      *string
		Words     []string
		MaxLength int `json:"max_length"`
		Strategy  string
		Stride    int
	}
	With        *goldenEncoding
	Without     *goldenEncoding
	Overflowing []goldenEncoding
	Decoded     string
	DecodedSkip string `json:"decoded_skip"`
}

type goldenEncoding struct {
	IDs       []int
	TypeIDs   []int `json:"type_ids"`
	Tokens    []string
	Offsets   [][2]int
	Special   []int
	Words     []int
	Sequences []int
}

func (g *goldenEncoding) encoding() tokenize.Encoding {
	e := tokenize.Encoding{IDs: g.IDs, TypeIDs: g.TypeIDs, Tokens: g.Tokens, Words: g.Words, Sequences: g.Sequences}
	for i, span := range g.Offsets {
		e.Offsets = append(e.Offsets, tokenize.Span{Start: span[0], End: span[1]})
		e.SpecialMask = append(e.SpecialMask, g.Special[i] == 1)
	}
	return e
}

// goldenLines parses a golden file.
func goldenLines(t *testing.T, data []byte) []golden {
	t.Helper()
	var lines []golden
	for line := range bytes.Lines(data) {
		var g golden
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatalf("line %d: %v", len(lines)+1, err)
		}
		lines = append(lines, g)
	}
	if len(lines) == 0 {
		t.Fatal("no lines")
	}
	return lines
}

// checkGolden compares the tokenizer with every line of a golden file.
func checkGolden(t *testing.T, tokenizer *tokenize.Tokenizer, data []byte) {
	t.Helper()
	lines := goldenLines(t, data)
	for i := range lines {
		checkLine(t, i+1, tokenizer, &lines[i])
	}
}

var strategies = map[string]tokenize.Truncation{
	"": tokenize.LongestFirst, "longest_first": tokenize.LongestFirst,
	"only_first": tokenize.OnlyFirst, "only_second": tokenize.OnlySecond,
}

func checkLine(t *testing.T, number int, tokenizer *tokenize.Tokenizer, g *golden) {
	t.Helper()
	for _, noSpecial := range []bool{false, true} {
		want := g.With
		if noSpecial {
			want = g.Without
		}
		strategy, ok := strategies[g.Input.Strategy]
		if !ok {
			t.Fatalf("line %d: strategy %q", number, g.Input.Strategy)
		}
		opts := &tokenize.Options{NoSpecialTokens: noSpecial, MaxLength: g.Input.MaxLength, Truncation: strategy}
		got, err := encode(tokenizer, g, opts)
		switch {
		case want != nil && specials(want.Special) > g.Input.MaxLength && g.Input.MaxLength > 0:
			// The reference gives up truncating then, silently.
			if err == nil {
				t.Errorf("line %d: %+v: no error, and there is no room for the special tokens", number, g.Input)
			}
			continue
		case want == nil:
			if err == nil {
				t.Errorf("line %d: %+v: no error, and the reference refuses it", number, g.Input)
			}
			continue
		case err != nil:
			t.Errorf("line %d: %+v: %v", number, g.Input, err)
			continue
		}
		if reflect.DeepEqual(want.encoding(), got) {
			continue // cmp takes much longer
		}
		if diff := cmp.Diff(want.encoding(), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("line %d: %+v without special tokens %v (-want +got):\n%s", number, g.Input, noSpecial, diff)
		}
	}
	if g.With != nil {
		checkDecode(t, number, tokenizer, g)
	}
	if g.Input.Strategy == "only_second" {
		checkWindows(t, number, tokenizer, g)
	}
}

func specials(mask []int) int {
	n := 0
	for _, m := range mask {
		n += m
	}
	return n
}

func checkWindows(t *testing.T, number int, tokenizer *tokenize.Tokenizer, g *golden) {
	t.Helper()
	got, err := tokenizer.EncodeWindows(g.Input.Text, *g.Input.Pair, g.Input.MaxLength, g.Input.Stride)
	// With room for special tokens only, the reference hands back windows that hold neither text.
	onlySpecial := g.With != nil && !slices.Contains(g.With.Special, 0) && len(g.Overflowing) > 0
	if g.With == nil || onlySpecial || specials(g.With.Special) > g.Input.MaxLength {
		if err == nil {
			t.Errorf("line %d: %+v: no error, and the reference refuses it", number, g.Input)
		}
		return
	}
	want := []tokenize.Encoding{g.With.encoding()}
	for _, window := range g.Overflowing {
		want = append(want, typedAs(want[0], window.encoding()))
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("line %d: EncodeWindows of %+v: %v (-want +got):\n%s", number, g.Input, err, diff)
	}
}

// typedAs returns a later window with the type that the pair has in the first one: there
// the reference forgets the template's, which models need that know one type only.
func typedAs(first, window tokenize.Encoding) tokenize.Encoding {
	if at := slices.Index(first.Sequences, 1); at >= 0 {
		for i, sequence := range window.Sequences {
			if sequence == 1 {
				window.TypeIDs[i] = first.TypeIDs[at]
			}
		}
	}
	return window
}

func encode(tokenizer *tokenize.Tokenizer, g *golden, opts *tokenize.Options) (tokenize.Encoding, error) {
	switch {
	case g.Input.Words != nil:
		return tokenizer.EncodeWords(g.Input.Words, opts)
	case g.Input.Pair != nil:
		return tokenizer.EncodePair(g.Input.Text, *g.Input.Pair, opts)
	}
	return tokenizer.Encode(g.Input.Text, opts)
}

func checkDecode(t *testing.T, number int, tokenizer *tokenize.Tokenizer, g *golden) {
	t.Helper()
	for _, skip := range []bool{false, true} {
		want := g.Decoded
		if skip {
			want = g.DecodedSkip
		}
		got, err := tokenizer.Decode(g.With.IDs, skip)
		if err != nil || got != want {
			t.Errorf("line %d: Decode(%v, %v) = %q, %v, want %q", number, g.With.IDs, skip, got, err, want)
		}
	}
}

// shared returns a folder of files beside the repository, or skips.
func shared(t *testing.T, name string) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		path := filepath.Join(folder, "shared", name)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return path
		}
	}
	t.Skipf("no folder shared/%s beside the repository: the public tokenizer files are not here", name)
	return ""
}
