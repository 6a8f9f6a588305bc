package tokenize_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/gopeft/gopeft/tokenize"
)

// FuzzParse: no file panics, and what is accepted encodes and decodes without panic.
func FuzzParse(f *testing.F) {
	seeds(f, "FuzzParse")
	f.Fuzz(func(t *testing.T, data []byte) {
		tokenizer, err := tokenize.Parse("tokenizer.json", data)
		if err != nil {
			if tokenizer != nil {
				t.Error("Parse returned a tokenizer with an error")
			}
			return
		}
		for _, text := range []string{"", "a", "Ab [CLS] é漢 word"} {
			encoding, err := tokenizer.Encode(text, nil)
			if err == nil {
				checkEncoding(t, tokenizer, encoding, utf8.RuneCountInString(text), 0)
				if _, err := tokenizer.Decode(encoding.IDs, false); err != nil {
					t.Errorf("Decode(%v): %v", encoding.IDs, err)
				}
			}
		}
	})
}

// FuzzEncode: no text panics, ids are in the vocabulary, offsets in the text.
func FuzzEncode(f *testing.F) {
	seeds(f, "FuzzEncode")
	var tokenizers []*tokenize.Tokenizer
	for _, name := range tinyFiles {
		tokenizers = append(tokenizers, parse(f, tinyFile(name)))
	}
	f.Fuzz(func(t *testing.T, text, pair string, maxLength uint8, stride int8) {
		for _, tokenizer := range tokenizers {
			encoding, err := tokenizer.EncodePair(text, pair, nil)
			if err != nil {
				t.Fatalf("EncodePair(%q, %q): %v", text, pair, err)
			}
			checkEncoding(t, tokenizer, encoding, utf8.RuneCountInString(text), utf8.RuneCountInString(pair))
			checkTruncated(t, tokenizer, text, pair, int(maxLength))
			if windows, err := tokenizer.EncodeWindows(text, pair, int(maxLength), int(stride)); err == nil {
				for _, w := range windows {
					checkLength(t, w, int(maxLength))
				}
			}
			if _, err := tokenizer.Decode(encoding.IDs, true); err != nil {
				t.Errorf("Decode(%v): %v", encoding.IDs, err)
			}
		}
	})
}

// FuzzPieces: no sentencepiece model panics, and what is accepted encodes and decodes.
func FuzzPieces(f *testing.F) {
	seeds(f, "FuzzPieces")
	for _, name := range []string{"t5.model", "bpe.model"} {
		data, err := os.ReadFile(filepath.Join("testdata", "directories", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for class, file := range map[string]string{"T5": "spiece.model", "XLMRoberta": "sentencepiece.bpe.model", "Gemma": "tokenizer.model"} {
			config := `{"tokenizer_class": "` + class + `Tokenizer", "extra_ids": 2}`
			checkLoaded(t, fstest.MapFS{file: {Data: data}, "tokenizer_config.json": {Data: []byte(config)}})
		}
	})
}

// FuzzVocabulary: no vocab.json, merges.txt and config panic.
func FuzzVocabulary(f *testing.F) {
	seeds(f, "FuzzVocabulary")
	f.Fuzz(func(t *testing.T, vocab, merges, config []byte) {
		checkLoaded(t, fstest.MapFS{"vocab.json": {Data: vocab}, "merges.txt": {Data: merges}, "tokenizer_config.json": {Data: config}})
	})
}

func checkLoaded(t *testing.T, directory fstest.MapFS) {
	t.Helper()
	tokenizer, err := tokenize.Load(directory)
	if err != nil {
		return
	}
	text := "Ab <s> é漢  word"
	encoding, err := tokenizer.Encode(text, nil)
	if err != nil {
		return
	}
	checkEncoding(t, tokenizer, encoding, utf8.RuneCountInString(text), 0)
	if _, err := tokenizer.Decode(encoding.IDs, true); err != nil {
		t.Errorf("Decode(%v): %v", encoding.IDs, err)
	}
}

func checkTruncated(t *testing.T, tokenizer *tokenize.Tokenizer, text, pair string, maxLength int) {
	t.Helper()
	for _, strategy := range []tokenize.Truncation{tokenize.LongestFirst, tokenize.OnlyFirst, tokenize.OnlySecond} {
		encoding, err := tokenizer.EncodePair(text, pair, &tokenize.Options{MaxLength: maxLength, Truncation: strategy})
		if err == nil && maxLength > 0 {
			checkLength(t, encoding, maxLength)
		}
	}
}

func checkLength(t *testing.T, e tokenize.Encoding, maxLength int) {
	t.Helper()
	if len(e.IDs) > maxLength {
		t.Errorf("%d tokens, want at most %d", len(e.IDs), maxLength)
	}
}

// checkEncoding checks the invariants of an encoding of texts with so many characters.
func checkEncoding(t *testing.T, tokenizer *tokenize.Tokenizer, e tokenize.Encoding, textLength, pairLength int) {
	t.Helper()
	n := len(e.IDs)
	for name, length := range map[string]int{
		"TypeIDs": len(e.TypeIDs), "Tokens": len(e.Tokens), "Offsets": len(e.Offsets),
		"SpecialMask": len(e.SpecialMask), "Words": len(e.Words), "Sequences": len(e.Sequences),
	} {
		if length != n {
			t.Fatalf("%d %s for %d ids", length, name, n)
		}
	}
	for i, id := range e.IDs {
		if e.SpecialMask[i] {
			continue
		}
		if _, ok := tokenizer.Token(id); !ok {
			t.Errorf("id %d of token %d is not in the vocabulary", id, i)
		}
		limit := textLength
		if e.Sequences[i] == 1 {
			limit = pairLength
		}
		if span := e.Offsets[i]; span.Start < 0 || span.End < span.Start || span.End > limit {
			t.Errorf("token %d has offsets %v in a text of %d characters", i, span, limit)
		}
	}
}

// seeds fails where the committed seeds are missing: go test runs them.
func seeds(f *testing.F, target string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds of %s: %v", target, errors.Join(err, os.ErrNotExist))
	}
}
