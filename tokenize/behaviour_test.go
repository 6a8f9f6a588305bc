package tokenize_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gopeft/gopeft/tokenize"
)

func TestParseErrors(t *testing.T) {
	base, err := os.ReadFile(tinyFile("bare"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, replacement, want string }{
		{
			"unknown model", `"type":"WordPiece"`, `"type":"WordLevel"`,
			`t.json: field "model.type": "WordLevel", want one of BPE, Unigram, WordPiece`,
		},
		{
			"unknown normaliser", `"normalizer":null`, `"normalizer":{"type":"Shout","loud":true}`,
			`t.json: field "normalizer.type": "Shout", want one of BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents`,
		},
		{
			"unknown field of the model", `"unk_token"`, `"byte_fallback":true,"unk_token"`,
			`t.json: field "model.byte_fallback": true, want no such field: its meaning is unknown here`,
		},
		{
			"unknown field of the file", `"normalizer"`, `"postscript":1,"normalizer"`,
			`t.json: field "postscript": 1, want no such field: its meaning is unknown here`,
		},
		{"missing", `"max_input_chars_per_word":400,`, ``, `t.json: field "model.max_input_chars_per_word": nothing, want 0 or more`},
		{"version", `"1.0"`, `"2.0"`, `t.json: field "version": "2.0", want "1.0"`},
		{"id twice", `"b":2`, `"b":1`, `t.json: field "model.vocab": id 1 for both "a" and "b", want one token an id`},
		{"negative id", `"b":2`, `"b":-2`, `t.json: field "model.vocab": id -2 of "b", want 0 or more, below 2^31`},
		{"syntax", `"b":2`, `"b":2,,`, "t.json: byte "},
		{
			"sequence B alone", `"post_processor":null`,
			`"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"pair":[],"special_tokens":{}}`,
			`t.json: field "post_processor.single": sequence B, want sequence A only`,
		},
		{
			"two templates", `"post_processor":null`,
			`"post_processor":{"type":"Sequence","processors":[{"type":"BertProcessing","sep":["a",1],"cls":["b",2]},{"type":"BertProcessing","sep":["a",1],"cls":["b",2]}]}`,
			`t.json: field "post_processor.processors": 2 templates, want at most one`,
		},
		{
			"nothing put before", `"normalizer":null`, `"normalizer":{"type":"Prepend","prepend":""}`,
			`t.json: field "normalizer.prepend": "", want a text to put there`,
		},
		{
			"two problems", `"normalizer":null,"pre_tokenizer":null`, `"normalizer":{"type":"X"},"pre_tokenizer":{"type":"Y"}`,
			"t.json: field \"normalizer.type\": \"X\", want one of BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents\n" +
				"t.json: field \"pre_tokenizer.type\": \"Y\", want one of BertPreTokenizer, ByteLevel, Digits, Metaspace, Punctuation, Sequence, Split, WhitespaceSplit",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			compact := strings.NewReplacer(": ", ":", ", ", ",", "\n", "").Replace(strings.Join(strings.Fields(string(base)), ""))
			if !strings.Contains(compact, c.old) {
				t.Fatalf("the file has no %s", c.old)
			}
			_, err := tokenize.Parse("t.json", []byte(strings.Replace(compact, c.old, c.replacement, 1)))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("Parse: %v, want %s", err, c.want)
			}
			var field *tokenize.FieldError
			if c.name != "syntax" && !errors.As(err, &field) {
				t.Errorf("Parse: error of type %T, want a FieldError in it", err)
			}
		})
	}
}

// bareWith is bare.json with other values of fields, which follow their names.
func bareWith(t *testing.T, fields ...string) (*tokenize.Tokenizer, error) {
	t.Helper()
	data, err := os.ReadFile(tinyFile("bare"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(fields, 2) {
		file[pair[0]] = json.RawMessage(pair[1])
	}
	if data, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	return tokenize.Parse("t.json", data)
}

func TestAddedTokenErrors(t *testing.T) {
	const token = `{"id":8,"content":"a b","single_word":%v,"lstrip":false,"rstrip":false,"normalized":true,"special":false}`
	for _, c := range []struct{ normalizer, added, want string }{
		{
			"null", fmt.Sprintf("["+token+","+token+"]", true, false),
			`t.json: field "added_tokens": "a b" twice, with different flags, want the same ones`,
		},
		{
			`{"type":"Replace","pattern":{"String":"a b"},"content":""}`, fmt.Sprintf("["+token+"]", true),
			`t.json: field "added_tokens": "a b", want a token that the normaliser leaves something of`,
		},
	} {
		if _, err := bareWith(t, "normalizer", c.normalizer, "added_tokens", c.added); err == nil || err.Error() != c.want {
			t.Errorf("Parse: %v, want %s", err, c.want)
		}
	}
	same := fmt.Sprintf("["+token+","+token+"]", true, true)
	if _, err := bareWith(t, "added_tokens", same); err != nil {
		t.Errorf("the same token twice: %v", err)
	}
}

// Of two added tokens the second is none where the first has taken it along. Expected: tokenizers 0.23.3.
func TestAddedTokensInWhiteSpace(t *testing.T) {
	tokenizer, err := bareWith(t, "added_tokens",
		`[{"id":8,"content":" ","single_word":false,"lstrip":true,"rstrip":true,"normalized":false,"special":false}]`)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"a  b":      {"a", "  ", "b"},
		"   a":      {"   ", "a"},
		" a    b ":  {" ", "a", "    ", "b", " "},
		"a\u3000 b": {"a", "\u3000 ", "b"},
	} {
		e, err := tokenizer.Encode(text, nil)
		if diff := cmp.Diff(want, e.Tokens); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

// Post-processors of a sequence trim one after the other. Expected: tokenizers 0.23.3.
func TestTrimmedTwice(t *testing.T) {
	one := func(prefixSpace, trim bool) string {
		return fmt.Sprintf(`{"type":"ByteLevel","add_prefix_space":%v,"trim_offsets":%v,"use_regex":true}`, prefixSpace, trim)
	}
	for processors, want := range map[string]tokenize.Span{
		one(false, true): {Start: 1, End: 5},
		one(false, true) + "," + one(false, false): {Start: 1, End: 5},
		one(true, true) + "," + one(false, true):   {Start: 1, End: 5},
		one(false, true) + "," + one(false, true):  {Start: 2, End: 5},
	} {
		tokenizer, err := bareWith(t, "post_processor", `{"type":"Sequence","processors":[`+processors+`]}`)
		if err != nil {
			t.Fatal(err)
		}
		e, err := tokenizer.Encode(" lead", nil)
		if err != nil || e.Offsets[0] != want {
			t.Errorf("%s: %v, %v, want %v", processors, e.Offsets, err, want)
		}
	}
}

func TestLoadFindsTheFile(t *testing.T) {
	if _, err := tokenize.Load(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of an empty directory: %v, want fs.ErrNotExist", err)
	}
	file, err := os.ReadFile(tinyFile("cased"))
	if err != nil {
		t.Fatal(err)
	}
	// As transformers, tokenizer_config.json wins for BertTokenizer and not for PreTrainedTokenizerFast.
	for config, want := range map[string][]string{
		`{}`: {"[UNK]"},
		`{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}`:           {"the"},
		`{"do_lower_case": true, "tokenizer_class": "PreTrainedTokenizerFast"}`: {"[UNK]"},
	} {
		tokenizer, err := tokenize.Load(fstest.MapFS{
			"tokenizer.json":        {Data: file},
			"tokenizer_config.json": {Data: []byte(config)},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := tokenizer.Encode("tHE", &tokenize.Options{NoSpecialTokens: true})
		if diff := cmp.Diff(want, got.Tokens); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", config, err, diff)
		}
	}
}

func TestVocabulary(t *testing.T) {
	tokenizer := parse(t, tinyFile("uncased"))
	want := tokenize.SpecialIDs{Bos: -1, Eos: -1, Pad: 0, Unk: 1, Cls: 2, Sep: 3, Mask: 4}
	if got := tokenizer.SpecialIDs(); got != want {
		t.Errorf("SpecialIDs() = %+v, want %+v", got, want)
	}
	for id := range tokenizer.VocabSize() {
		token, ok := tokenizer.Token(id)
		back, found := tokenizer.ID(token)
		if !ok || !found || back != id {
			t.Errorf("Token(%d) = %q, %v; ID of it = %d, %v", id, token, ok, back, found)
		}
	}
	if _, ok := tokenizer.Token(tokenizer.VocabSize()); ok {
		t.Error("a token beyond the vocabulary")
	}
	if _, err := tokenizer.Decode([]int{-1}, false); err == nil {
		t.Error("Decode of a negative id: no error")
	}
}

// The same texts from eight goroutines over one tokenizer give what one
// goroutine gets from another tokenizer, which the goldens prove right.
func TestConcurrentUse(t *testing.T) {
	lines := goldenLines(t, tinyGolden(t, "uncased"))
	alone, together := parse(t, tinyFile("uncased")), parse(t, tinyFile("uncased"))
	want := make([]tokenize.Encoding, len(lines))
	for i := range lines {
		want[i], _ = encode(alone, &lines[i], nil)
	}
	var group sync.WaitGroup
	for offset := range 8 {
		group.Go(func() {
			for i := range lines {
				i = (i + 61*offset) % len(lines)
				if got, err := encode(together, &lines[i], nil); err != nil || !reflect.DeepEqual(want[i], got) {
					t.Errorf("line %d: %+v, %v, want %+v", i+1, got, err, want[i])
				}
			}
		})
	}
	group.Wait()
}

// Time grows with the length of the text and nothing else, whatever the text is.
func TestLongTextsTakeLinearTime(t *testing.T) {
	raised, err := os.ReadFile(tinyFile("uncased"))
	if err != nil {
		t.Fatal(err)
	}
	unlimited := strings.Replace(string(raised), `"max_input_chars_per_word":100`, `"max_input_chars_per_word":1000000`, 1)
	if unlimited == string(raised) {
		t.Fatal("the file has no limit of 100 characters a word")
	}
	tokenizer, err := tokenize.Parse("unlimited", []byte(unlimited))
	if err != nil {
		t.Fatal(err)
	}
	tokenizers := map[string]*tokenize.Tokenizer{"limit 100": parse(t, tinyFile("uncased")), "no limit": tokenizer}
	for _, name := range []string{"bytes-llama3", "pieces-mistral", "pieces-gemma", "unigram-t5", "unigram-albert"} {
		tokenizers[name] = parse(t, tinyFile(name))
	}
	for name, tokenizer := range tokenizers {
		for _, unit := range []string{"a", "▁", " ", "a▁ ", "\U0001F6A2", "漢", "\u0301", "e\u0301\u0316", "[CLS]", "[", "ab ", "-", "\u200b"} {
			start := time.Now()
			if _, err := tokenizer.Encode(strings.Repeat(unit, 20<<10/len(unit)), nil); err != nil {
				t.Errorf("%s, %q: %v", name, unit, err)
			}
			// Milliseconds; quadratic matching takes minutes.
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s: 20 KB of %q took %v", name, unit, took)
			}
		}
	}
}

// Words too long for sugarme's model are matched by this package.
func TestLongWords(t *testing.T) {
	file, err := os.ReadFile(tinyFile("bare"))
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenize.Parse("bare", file)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		// The vocabulary of bare.json: a and b go on as any of a, b and a space.
		word := rapid.StringOfN(rapid.SampledFrom([]rune("ab ")), 101, 140, -1).Draw(t, "word")
		encoding, err := tokenizer.Encode("ab"+word, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"ab"}
		for _, r := range word {
			want = append(want, "@@"+string(r))
		}
		if diff := cmp.Diff(want, encoding.Tokens); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Truncation never changes what it keeps.
func TestTruncationKeepsPrefixes(t *testing.T) {
	tokenizer := parse(t, tinyFile("uncased"))
	random := rand.New(rand.NewPCG(1, 1))
	text := "the quiet harbour filled with boats before the storm"
	whole, err := tokenizer.Encode(text, &tokenize.Options{NoSpecialTokens: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		n := 1 + random.IntN(len(whole.IDs))
		cut, err := tokenizer.Encode(text, &tokenize.Options{NoSpecialTokens: true, MaxLength: n})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole.IDs[:n], cut.IDs, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("max length %d (-want +got):\n%s", n, diff)
		}
	}
	for _, opts := range []tokenize.Options{{MaxLength: -1}, {MaxLength: 1}, {MaxLength: 5, Truncation: tokenize.OnlySecond}, {MaxLength: 5, Truncation: 9}} {
		if _, err := tokenizer.Encode(text, &opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}

func ExampleLoad() {
	tokenizer, err := tokenize.Load(os.DirFS(filepath.Join("testdata", "directory-plain")))
	if err != nil {
		fmt.Println(err)
		return
	}
	encoding, err := tokenizer.EncodePair("The harbour.", "Unbelievably quiet", &tokenize.Options{MaxLength: 12})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, token := range encoding.Tokens {
		fmt.Println(encoding.IDs[i], token, encoding.Offsets[i], encoding.TypeIDs[i])
	}
	// Output:
	// 2 [CLS] {0 0} 0
	// 277 the {0 3} 0
	// 778 harbour {4 11} 0
	// 18 . {11 12} 0
	// 3 [SEP] {0 0} 0
	// 461 un {0 2} 1
	// 488 ##be {2 4} 1
	// 756 ##lievab {4 10} 1
	// 320 ##ly {10 12} 1
	// 722 quiet {13 18} 1
	// 3 [SEP] {0 0} 1
}
