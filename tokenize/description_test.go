package tokenize_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/tokenize"
)

// tokenizerFile is a tokenizer.json of the tiny ones.
type tokenizerFile struct {
	Normalizer    json.RawMessage
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage
	AddedTokens   []struct {
		Content    string
		SingleWord bool `json:"single_word"`
		LStrip     bool
		RStrip     bool
		Normalized bool
		Special    bool
	} `json:"added_tokens"`
	Model struct {
		Vocab        json.RawMessage
		Merges       [][2]string
		UnkToken     string `json:"unk_token"`
		UnkID        int    `json:"unk_id"`
		FuseUnk      bool   `json:"fuse_unk"`
		ByteFallback bool   `json:"byte_fallback"`
		IgnoreMerges bool   `json:"ignore_merges"`
	}
}

func (f *tokenizerFile) description(t *testing.T) tokenize.Description {
	t.Helper()
	d := tokenize.Description{
		Normalizer: string(f.Normalizer), PreTokenizer: string(f.PreTokenizer),
		PostProcessor: string(f.PostProcessor), Decoder: string(f.Decoder),
		Merges: f.Model.Merges, Unknown: f.Model.UnkToken, FuseUnknown: f.Model.FuseUnk,
		ByteFallback: f.Model.ByteFallback, IgnoreMerges: f.Model.IgnoreMerges,
	}
	for _, a := range f.AddedTokens {
		d.Added = append(d.Added, tokenize.AddedToken(a))
	}
	var ids map[string]int
	if json.Unmarshal(f.Model.Vocab, &ids) == nil {
		d.Tokens = make([]string, len(ids))
		for token, id := range ids {
			d.Tokens[id] = token
		}
		return d
	}
	var scored [][2]any
	if err := json.Unmarshal(f.Model.Vocab, &scored); err != nil {
		t.Fatal(err)
	}
	for _, pair := range scored {
		d.Tokens, d.Scores = append(d.Tokens, pair[0].(string)), append(d.Scores, pair[1].(float64))
	}
	d.Unknown = d.Tokens[f.Model.UnkID]
	return d
}

// A description with the parts of a file makes the tokenizer of the file.
func TestDescription(t *testing.T) {
	for _, name := range []string{"bytes-llama3", "pieces-llama2", "pieces-gemma", "unigram-t5", "unigram-albert"} {
		t.Run(name, func(t *testing.T) {
			checkGolden(t, described(t, name), tinyGolden(t, name))
		})
	}
}

func described(t *testing.T, name string) *tokenize.Tokenizer {
	t.Helper()
	data, err := os.ReadFile(tinyFile(name))
	if err != nil {
		t.Fatal(err)
	}
	var f tokenizerFile
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenize.New(name, f.description(t))
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

func TestDescriptionErrors(t *testing.T) {
	_, err := tokenize.New("a.gguf", tokenize.Description{
		Normalizer: `{"type": "X"}`, Tokens: []string{"a", "a"}, Merges: [][2]string{{"a", "b"}}, Unknown: "<unk>",
	})
	want := `a.gguf: field "normalizer.type": "X", want one of BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents
a.gguf: field "tokens": "a" at 0 and 1, want one id a token
a.gguf: field "unknown token": "<unk>", want one of the tokens
a.gguf: field "merges": "a b" at 0, want two tokens that make a third one`
	if err == nil || err.Error() != want {
		t.Errorf("New: %v, want %s", err, want)
	}
}

// Expected: generate_merges of transformers 5.23.0, with and without vocab_scores.
func TestMergesOf(t *testing.T) {
	tokens := []string{"a", "b", "c", "bc", "ab", "abc", "é", "éa"}
	want := [][2]string{{"b", "c"}, {"a", "b"}, {"a", "bc"}, {"ab", "c"}, {"é", "a"}}
	if got := tokenize.MergesOf(tokens, nil); !slices.Equal(got, want) {
		t.Errorf("MergesOf = %v, want %v", got, want)
	}
	// From the highest score down, of equal ones the longest left part first.
	scores := []float64{0, 0, 0, -2, -1, -3, 0, -1}
	want = [][2]string{{"a", "b"}, {"é", "a"}, {"b", "c"}, {"ab", "c"}, {"a", "bc"}}
	if got := tokenize.MergesOf(tokens, scores); !slices.Equal(got, want) {
		t.Errorf("MergesOf with scores = %v, want %v", got, want)
	}
}
