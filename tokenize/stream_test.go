package tokenize_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gopeft/gopeft/tokenize"
)

// Token by token comes what the official library decodes at once, and each part is
// whole characters.
func TestStream(t *testing.T) {
	for _, name := range tinyFiles {
		t.Run(name, func(t *testing.T) {
			checkStream(t, parse(t, tinyFile(name)), tinyGolden(t, name))
		})
	}
}

func checkStream(t *testing.T, tokenizer *tokenize.Tokenizer, data []byte) {
	t.Helper()
	for i, g := range goldenLines(t, data) {
		if g.With == nil {
			continue
		}
		for skip, want := range map[bool]string{false: g.Decoded, true: g.DecodedSkip} {
			if got := strings.Join(stream(t, tokenizer, g.With.IDs, skip), ""); got != want {
				t.Errorf("line %d: the parts of %v make %q, want %q", i+1, g.With.IDs, got, want)
			}
		}
	}
}

// stream returns what each id and the end give.
func stream(t interface{ Errorf(string, ...any) }, tokenizer *tokenize.Tokenizer, ids []int, skip bool) []string {
	s := tokenizer.Stream(skip)
	var parts []string
	for _, id := range ids {
		parts = append(parts, s.Add(id))
	}
	parts = append(parts, s.Flush())
	for i, part := range parts {
		if !utf8.ValidString(part) {
			t.Errorf("part %d of %v is %q, want whole characters", i, ids, part)
		}
	}
	return parts
}

// Any ids, such as an untrained model gives, stream to what Decode makes of them.
func TestStreamOfAnyIDs(t *testing.T) {
	for _, name := range tinyFiles {
		tokenizer := parse(t, tinyFile(name))
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			ids := rapid.SliceOfN(rapid.IntRange(0, tokenizer.VocabSize()), 0, 30).Draw(t, "ids")
			skip := rapid.Bool().Draw(t, "skip")
			want, err := tokenizer.Decode(ids, skip)
			if got := strings.Join(stream(t, tokenizer, ids, skip), ""); got != want || err != nil {
				t.Errorf("%q, want %q, %v", got, want, err)
			}
			// A clone may end where the stream itself goes on.
			s, text := tokenizer.Stream(skip), ""
			for i, id := range ids {
				text += s.Add(id)
				want, err := tokenizer.Decode(ids[:i+1], skip)
				if got := text + s.Clone().Flush(); got != want || err != nil {
					t.Errorf("after %d ids: %q, want %q, %v", i+1, got, want, err)
				}
			}
		}))
	}
}

// What is decided does not wait: a token's text comes with it, a character with its last
// byte, and the bytes that stand for unknown characters with the token after them, which
// decides whether they are text.
func TestStreamDoesNotWait(t *testing.T) {
	for _, c := range []struct {
		file string
		text string
		want []string
	}{
		{"bytes-digits", "a €1", []string{"a", " ", "", "", "€", "1", ""}},
		{"pieces-mistral", "a 見1", []string{"", "a", " ", "", "", "", "見1", ""}},
		{"unigram-t5", "a x", []string{"", "a", " ", "x", ""}},
		{"uncased", "a b.", []string{"a", " b", ".", ""}},
	} {
		tokenizer := parse(t, tinyFile(c.file))
		e, err := tokenizer.Encode(c.text, &tokenize.Options{NoSpecialTokens: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := stream(t, tokenizer, e.IDs, false); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v come as %q, want %q", c.file, e.Tokens, got, c.want)
		}
	}
}

// The examples of the reference's own tests, decoders/strip.rs and byte_fallback.rs.
func TestDecodersOfTheReference(t *testing.T) {
	file, err := os.ReadFile(tinyFile("bare"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ decoder, tokens, want string }{
		{`{"type":"Strip","content":"H","start":1,"stop":0}`, "Hey| friend!|HHH", "ey friend!HH"},
		{`{"type":"Strip","content":"y","start":0,"stop":1}`, "Hey| friend!", "He friend!"},
		{`{"type":"ByteFallback"}`, "<0x61>", "a"},
		{`{"type":"ByteFallback"}`, "<0xE5>", "�"},
		{`{"type":"ByteFallback"}`, "<0xE5>|<0x8f>", "��"},
		{`{"type":"ByteFallback"}`, "<0xE5>|<0x8f>|<0xab>", "叫"},
		{`{"type":"ByteFallback"}`, "<0xE5>|<0x8f>|<0xab>|a", "叫a"},
		{`{"type":"ByteFallback"}`, "<0xE5>|<0x8f>|a", "��a"},
	} {
		tokens := strings.Split(c.tokens, "|")
		var vocab []string
		for id, token := range tokens {
			if token != "a" { // it is there
				vocab = append(vocab, fmt.Sprintf("%q:%d", token, id+8))
			}
		}
		text := strings.NewReplacer(`"decoder":null`, `"decoder":`+c.decoder, `"ab":7`, `"ab":7,`+strings.Join(vocab, ",")).
			Replace(strings.ReplaceAll(string(file), ": ", ":"))
		tokenizer, err := tokenize.Parse("t.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var ids []int
		for _, token := range tokens {
			id, _ := tokenizer.ID(token)
			ids = append(ids, id)
		}
		if got, err := tokenizer.Decode(ids, false); got != c.want || err != nil {
			t.Errorf("%s of %s: %q, %v, want %q", c.decoder, c.tokens, got, err, c.want)
		}
	}
}

func ExampleTokenizer_Stream() {
	data, err := os.ReadFile(tinyFile("pieces-llama2"))
	if err != nil {
		fmt.Println(err)
		return
	}
	tokenizer, err := tokenize.Parse("tokenizer.json", data)
	if err != nil {
		fmt.Println(err)
		return
	}
	encoding, err := tokenizer.Encode("The harbour 🚢", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := tokenizer.Stream(true)
	for _, id := range encoding.IDs {
		fmt.Printf("%q ", s.Add(id))
	}
	fmt.Printf("%q\n", s.Flush())
	// Output:
	// "" "The" " harbou" "r" " " "" "" "" "" "🚢"
}
