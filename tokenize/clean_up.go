package tokenize

import (
	"slices"
	"strings"
)

// englishCleanUp undoes, one after the other, the spaces that splitting English leaves behind.
// Source: transformers 5.23, tokenization_utils_base.py, clean_up_tokenization.
var englishCleanUp = [][2]string{
	{" .", "."},
	{" ?", "?"},
	{" !", "!"},
	{" ,", ","},
	{" ' ", "'"},
	{" n't", "n't"},
	{" 'm", "'m"},
	{" 's", "'s"},
	{" 've", "'ve"},
	{" 're", "'re"},
}

// wordPieceCleanUp is what the tokenizers library does to each token: it has one more.
var wordPieceCleanUp = slices.Insert(slices.Clone(englishCleanUp), 7, [2]string{" do not", " don't"})

func cleanUp(s string, rules [][2]string) string {
	for _, rule := range rules {
		s = strings.ReplaceAll(s, rule[0], rule[1])
	}
	return s
}

// cleaning cleans the whole text up, as transformers does with clean_up_tokenization_spaces.
type cleaning struct {
	next sink
	text string // from a space on, before which nothing changes any more
}

func (c *cleaning) add(part chunk) {
	c.text += part.text
	at := decidedText(c.text)
	c.give(c.text[:at])
	c.text = c.text[at:]
}

func (c *cleaning) end() {
	c.give(c.text)
	c.text = ""
}

func (c *cleaning) copy(next sink) decoding { return &cleaning{next, c.text} }

func (c *cleaning) give(text string) { c.next(chunk{text: cleanUp(text, englishCleanUp)}) }

// decidedText is the length of the text before the last space that can only begin a rule's
// place: one with a space inside has an apostrophe before it.
func decidedText(s string) int {
	for at := strings.LastIndexByte(s, ' '); at > 0; at = strings.LastIndexByte(s[:at], ' ') {
		if s[at-1] != '\'' {
			return at
		}
	}
	return 0
}

// readCleanUp reads whether to clean up. For BPE, where it would spoil the text, the
// config must say so twice.
func (t *Tokenizer) readCleanUp(config *object) {
	t.cleanUp = config.optionalBool("clean_up_tokenization_spaces", false)
	if _, isBPE := t.model.(*bpe); isBPE {
		t.cleanUp = t.cleanUp && config.optionalBool("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", false)
	}
}
