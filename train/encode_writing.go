package train

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// Writing says how texts become sequences of a language model.
type Writing struct {
	// InputRows: virtual tokens stand before the tokens, the last of which predicts the first
	// token, as in PEFT.
	InputRows bool
	// Separator stands between a text and its target.
	Separator string
	// End is the token that ends a target, or -1.
	End int
	// Chat writes the messages of a chat as the model reads them; with generationPrompt up to
	// where the assistant's answer begins. nil: there is no chat template.
	Chat func(messages []Message, generationPrompt bool) (string, error)
	// ShiftRight makes what a decoder reads of what it is to write: of SEQ_2_SEQ_LM.
	ShiftRight func(labels []int) []int
}

// learnt is a sequence with what is to be learnt of it.
type learnt struct {
	ids   []int
	learn []bool // one a token
	// special tokens begin it, and separators stand before what is learnt
	special, separators int
}

// written makes the features of an example of CAUSAL_LM: of a text with a target the
// target alone is learnt, of a chat the assistant's messages, of a plain text all of it.
func (e *encoder) written(x Example) ([]Feature, error) {
	if e.options.Task == models.Seq2SeqLM {
		f, err := e.translated(x)
		return []Feature{f}, err
	}
	pieces, err := e.pieces(x)
	var features []Feature
	for _, p := range pieces {
		features = append(features, e.next(p, x.TaskID))
	}
	return features, err
}

// pieces are the sequences of an example of CAUSAL_LM.
func (e *encoder) pieces(x Example) ([]learnt, error) {
	switch {
	case x.Messages != nil:
		return e.chat(x.Messages)
	case x.Target != nil:
		return e.completion(x)
	}
	return e.plain(x.Text)
}

// translated makes the feature of SEQ_2_SEQ_LM, as transformers' examples do.
func (e *encoder) translated(x Example) (Feature, error) {
	o := &tokenize.Options{MaxLength: e.options.MaxLength}
	source, err := e.tokenizer.Encode(x.Text, o)
	if err != nil {
		return Feature{}, err
	}
	target, err := e.tokenizer.Encode(*x.Target, o)
	if err != nil {
		return Feature{}, err
	}
	f := Feature{IDs: source.IDs, Targets: target.IDs, DecoderIDs: e.options.ShiftRight(target.IDs), TaskID: x.TaskID}
	for i := range f.DecoderIDs {
		f.Reads = append(f.Reads, i)
	}
	return f, nil
}

// next makes a feature of a piece: which rows give which tokens.
func (e *encoder) next(p learnt, task int) Feature {
	f := Feature{IDs: p.ids, TaskID: task, Reads: []int{}}
	for i, id := range p.ids {
		if p.learn[i] && (i > 0 || e.options.InputRows) {
			f.Reads, f.Targets = append(f.Reads, i-1), append(f.Targets, id)
		}
	}
	return f
}

// plain cuts a text into pieces of MaxLength tokens.
func (e *encoder) plain(text string) ([]learnt, error) {
	encoding, err := e.tokenizer.Encode(text, nil)
	if err != nil {
		return nil, err
	}
	whole := learnt{ids: e.ended(encoding.IDs)}
	for range whole.ids {
		whole.learn = append(whole.learn, true)
	}
	var pieces []learnt
	for n := e.options.MaxLength; n > 0 && len(whole.ids) > n; {
		pieces = append(pieces, learnt{ids: whole.ids[:n], learn: whole.learn[:n]})
		whole = learnt{ids: whole.ids[n:], learn: whole.learn[n:]}
	}
	return append(pieces, whole), nil
}

// ended returns tokens with the one that ends a text, if it is not there.
func (e *encoder) ended(ids []int) []int {
	if e.options.End < 0 || len(ids) > 0 && ids[len(ids)-1] == e.options.End {
		return ids
	}
	return append(ids, e.options.End)
}

// completion puts a target behind its text. What is too long loses the begin of the text,
// but for special tokens, and then the end of the target.
func (e *encoder) completion(x Example) ([]learnt, error) {
	source, err := e.tokenizer.Encode(x.Text+e.options.Separator, nil)
	if err != nil {
		return nil, err
	}
	target, err := e.tokenizer.Encode(*x.Target, &tokenize.Options{NoSpecialTokens: true})
	if err != nil {
		return nil, err
	}
	if len(target.IDs) == 0 {
		return nil, fmt.Errorf("the target is empty, want a text")
	}
	text, special, between := withoutEnd(source), leadingSpecial(source), 0
	for _, o := range source.Offsets[special:len(text)] {
		if o.Start >= utf8.RuneCountInString(x.Text) {
			between++
		}
	}
	written := e.ended(target.IDs)
	if n := e.options.MaxLength; n > 0 && len(text)+len(written) > n {
		keep := max(special, n-len(written))
		text = append(text[:special:special], text[len(text)-(keep-special):]...)
		written = written[:min(len(written), n-len(text))]
	}
	p := learnt{ids: append(text, written...), special: special, separators: min(between, len(text)-special)}
	for i := range p.ids {
		p.learn = append(p.learn, i >= len(text))
	}
	return []learnt{p}, nil
}

// withoutEnd leaves out the special tokens that a tokenizer puts behind a text.
func withoutEnd(e tokenize.Encoding) []int {
	n := len(e.IDs)
	for n > 0 && e.SpecialMask[n-1] {
		n--
	}
	if n == 0 { // an empty text: what is special stands before it
		n = len(e.IDs)
	}
	return e.IDs[:n:n]
}

func leadingSpecial(e tokenize.Encoding) int {
	n := 0
	for n < len(e.IDs) && e.SpecialMask[n] {
		n++
	}
	return n
}

// chat writes a chat with its template and learns what the template makes of the
// assistant's messages.
func (e *encoder) chat(messages []Message) ([]learnt, error) {
	if e.options.Chat == nil {
		return nil, fmt.Errorf("the base's tokenizer has no chat template, which messages need")
	}
	text, err := e.options.Chat(messages, false)
	if err != nil {
		return nil, err
	}
	answers, err := e.answersIn(text, messages)
	if err != nil {
		return nil, err
	}
	encoding, err := e.tokenizer.Encode(text, &tokenize.Options{NoSpecialTokens: true})
	if err != nil {
		return nil, err
	}
	p := learnt{ids: encoding.IDs}
	for _, o := range encoding.Offsets {
		p.learn = append(p.learn, within(o, answers))
	}
	if n := e.options.MaxLength; n > 0 && len(p.ids) > n {
		p = learnt{ids: p.ids[:n], learn: p.learn[:n]}
	}
	return []learnt{p}, nil
}

// answersIn finds the assistant's messages in the text of a chat, in characters.
func (e *encoder) answersIn(text string, messages []Message) ([]tokenize.Span, error) {
	var answers []tokenize.Span
	for i, m := range messages {
		if m.Role != "assistant" {
			continue
		}
		before, err := e.options.Chat(messages[:i], true)
		if err != nil {
			return nil, err
		}
		after, err := e.options.Chat(messages[:i+1], false)
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(after, before) || !strings.HasPrefix(text, after) {
			return nil, fmt.Errorf("message %d: the chat template changes what is before it, so it cannot be learnt by itself", i)
		}
		answers = append(answers, tokenize.Span{Start: len([]rune(before)), End: len([]rune(after))})
	}
	if answers == nil {
		return nil, fmt.Errorf("found no message of the role assistant, want at least one to learn")
	}
	return answers, nil
}

func within(token tokenize.Span, spans []tokenize.Span) bool {
	for _, s := range spans {
		if token.Start >= s.Start && token.End <= s.End && token.End > token.Start {
			return true
		}
	}
	return false
}
