// Package tokenize turns text into the token ids a model was trained on, with
// the place of every token in the text, and ids back into text. Start at [Load]
// for a model directory or at [Parse] for one tokenizer.json.
//
// It reads WordPiece (BERT and its kin), byte-level BPE (GPT-2, RoBERTa, SmolLM, Llama 3, Qwen, Phi),
// the BPE of sentencepiece (Llama 2, Mistral, Gemma) and Unigram (T5, XLM-R, ALBERT). Tokens that
// come one by one are turned into text by a [Stream]. Older directories are read without a
// tokenizer.json: vocab.txt, vocab.json with merges.txt, and sentencepiece models.
//
// Ids, tokens, type ids, offsets and decoded text equal those of the Hugging
// Face tokenizers library. A file that asks for something this package does not
// know is refused by name: results are right or there are none. Truncation and
// padding settings inside a file are ignored, as transformers ignores them.
//
// The word pieces of words of up to 32 characters are matched by
// github.com/sugarme/tokenizer, behind a cache of words. Longer words, where its
// time grows with the square of the length, and the reading of files, normalisation, splitting, added
// tokens, templates, offsets and truncation are this package's own: there its
// results differ from the reference.
package tokenize

import "fmt"

// Tokenizer turns text into ids and back. It is safe for concurrent use.
type Tokenizer struct {
	normalizer   normalizer   // nil: none
	preTokenizer preTokenizer // nil: the whole text is one word
	model        model
	added        *addedTokens
	template     *template // nil: sequences follow each other with nothing between
	decoder      decoder   // nil: tokens joined by spaces
	cleanUp      bool      // of the decoded text
	special      SpecialIDs
}

// Options choose what an encoding holds. Nil means the zero value.
type Options struct {
	// NoSpecialTokens leaves out what the template adds, such as [CLS] and [SEP].
	NoSpecialTokens bool
	// MaxLength is the largest number of tokens, those of the template
	// included; 0 means no limit.
	MaxLength int
	// Truncation says which text loses tokens when MaxLength is passed. The
	// zero value is LongestFirst.
	Truncation Truncation
}

// Span is a range [Start, End) of characters (code points) of the text.
type Span struct{ Start, End int }

// Encoding is a tokenized text. All slices have one entry a token.
type Encoding struct {
	IDs     []int
	TypeIDs []int
	Tokens  []string
	// Offsets count characters of the text, or of the pair, or of the word for
	// EncodeWords, that the token comes from; special tokens have {0, 0}. Each byte that is
	// not valid UTF-8 counts as one character.
	Offsets []Span
	// SpecialMask is true for the tokens the template added, not for special
	// tokens that stood in the text.
	SpecialMask []bool
	// Words is the index of the token's word in its sequence, -1 for special tokens.
	Words []int
	// Sequences is 0 for the first text, 1 for the pair, -1 for special tokens.
	Sequences []int
}

// Encode tokenizes one text.
func (t *Tokenizer) Encode(text string, opts *Options) (Encoding, error) {
	return t.encode(opts, func(s *scratch) error { return t.scan(s, text) }, nil)
}

// EncodePair tokenizes two texts into one encoding.
func (t *Tokenizer) EncodePair(text, pair string, opts *Options) (Encoding, error) {
	return t.encode(opts,
		func(s *scratch) error { return t.scan(s, text) },
		func(s *scratch) error { return t.scan(s, pair) })
}

// EncodeWords tokenizes a text that is already split into words, as
// transformers does with is_split_into_words=True. Words of the result are
// indices into words, and Offsets count from the start of the token's word.
func (t *Tokenizer) EncodeWords(words []string, opts *Options) (Encoding, error) {
	return t.encode(opts, func(s *scratch) error { return t.scanWords(s, words) }, nil)
}

// Decode turns ids back into text. Ids without a token are passed over, as the
// reference does; a negative id is an error.
func (t *Tokenizer) Decode(ids []int, skipSpecialTokens bool) (string, error) {
	s := t.Stream(skipSpecialTokens)
	for i, id := range ids {
		if id < 0 {
			return "", fmt.Errorf("id %d at place %d, want 0 or more", id, i)
		}
		s.add(id)
	}
	return s.Flush(), nil
}

// ID returns the id of a token, added tokens included.
func (t *Tokenizer) ID(token string) (int, bool) {
	if id, ok := t.added.ids[token]; ok {
		return id, true
	}
	return t.model.id(token)
}

// Token returns the token of an id, added tokens included; those that are matched in
// normalised text come normalised, as from the reference.
func (t *Tokenizer) Token(id int) (string, bool) {
	if token, ok := t.added.contents[id]; ok {
		return token.shown, true
	}
	return t.model.token(id)
}

// VocabSize is the number of tokens, added tokens included.
func (t *Tokenizer) VocabSize() int {
	return t.model.size() + t.added.beyondModel
}

// SpecialIDs returns the ids of the tokens with a role.
func (t *Tokenizer) SpecialIDs() SpecialIDs { return t.special }
