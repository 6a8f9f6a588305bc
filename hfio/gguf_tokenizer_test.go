package hfio

import (
	"encoding/json"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTokenizersOfGGUF compares with the tokenizer.json that transformers makes.
func TestTokenizersOfGGUF(t *testing.T) {
	cases, err := filepath.Glob("testdata/gguf/tokenizers/*.gguf")
	if err != nil || len(cases) < 11 {
		t.Fatalf("%d cases, %v: run compat_test/oracle/gguf_fixtures.py", len(cases), err)
	}
	for _, path := range cases {
		name := strings.TrimSuffix(filepath.Base(path), ".gguf")
		files, err := TokenizerFiles(Dir(path))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := fs.ReadFile(files, tokenizerFile)
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(fixture(t, "gguf/tokenizers/"+name+".json"), &want); err != nil {
			t.Fatal(err)
		}
		for key, w := range want {
			if !reflect.DeepEqual(got[key], w) {
				t.Errorf("%s: %s = %v, want %v", name, key, got[key], w)
			}
		}
	}
}

func TestWrongTokenizersInGGUF(t *testing.T) {
	whole := string(fixture(t, "gguf/tokenizers/llama-bpe.gguf"))
	for name, tt := range map[string]struct{ old, fresh, want string }{
		"kind":         {"\x04\x00\x00\x00\x00\x00\x00\x00gpt2", "\x04\x00\x00\x00\x00\x00\x00\x00bert", `"tokenizer.ggml.model": found "bert", want gpt2 or llama`},
		"split":        {"llama-bpe", "llama-xyz", `"tokenizer.ggml.pre": found "llama-xyz", want one of`},
		"merge":        {"a b", "a_b", `"tokenizer.ggml.merges": found "a_b" at 0, want two tokens`},
		"no tokens":    {"ggml.tokens", "ggml.tokenz", `"tokenizer.ggml.tokens": found nothing, want a value of type []string`},
		"a flag":       {"add_bos_token\x07\x00\x00\x00", "add_bos_token\x00\x00\x00\x00", `"tokenizer.ggml.add_bos_token": found 1, want a value of type bool`},
		"a token's id": {"bos_token_id\x04\x00\x00\x00\x03", "bos_token_id\x04\x00\x00\x00\x0a", `"tokenizer.ggml.bos_token_id": found 10, want one of 10 tokens`},
	} {
		if !strings.Contains(whole, tt.old) {
			t.Fatalf("%s: no %q in the file", name, tt.old)
		}
		_, err := TokenizerFiles(fstest.MapFS{"m.gguf": {Data: []byte(strings.Replace(whole, tt.old, tt.fresh, 1))}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v, want %q", name, err, tt.want)
		}
	}
}
