package tokenize

import "strings"

// chunk is a token, or a part of one, on its way to text.
type chunk struct {
	text         string
	begins, ends bool // the token
}

// sink takes the chunks of one text in order.
type sink func(chunk)

// decoder makes text of tokens. Text is decoded in one way only, token by token, whether
// all tokens are there or come one after the other.
type decoder interface {
	// decode begins a text, whose chunks go to next.
	decode(next sink) decoding
}

// decoding is a text on its way through a decoder. It keeps what it cannot decide yet;
// end gives all of that on. A copy of it goes on by itself, to another sink.
type decoding interface {
	add(chunk)
	end()
	copy(next sink) decoding
}

// Stream decodes the tokens of one text as they come, each into as much text as the
// tokens up to it decide: it never gives a part of a character. All it gives,
// joined, is what Decode makes of all tokens. It is for one goroutine.
type Stream struct {
	tokenizer   *Tokenizer
	skipSpecial bool
	decoding    decoding
	text        strings.Builder
}

// Stream begins a text.
func (t *Tokenizer) Stream(skipSpecialTokens bool) *Stream {
	s := &Stream{tokenizer: t, skipSpecial: skipSpecialTokens}
	var next sink = s.write
	stages := make(decodings, 1, 2)
	if t.cleanUp {
		stages = append(stages, &cleaning{next: next})
		next = stages[1].add
	}
	first := t.decoder
	if first == nil {
		first = spaced
	}
	stages[0] = first.decode(next)
	s.decoding = stages
	return s
}

// Add returns the text that is decided by a further token and was not before. Ids
// without a token are passed over.
func (s *Stream) Add(id int) string {
	s.add(id)
	return s.take()
}

func (s *Stream) add(id int) {
	token, ok := s.tokenizer.Token(id)
	if ok && !(s.skipSpecial && s.tokenizer.added.isSpecial(token)) {
		s.decoding.add(chunk{token, true, true})
	}
}

// Clone returns a stream that goes on from here by itself.
func (s *Stream) Clone() *Stream {
	c := &Stream{tokenizer: s.tokenizer, skipSpecial: s.skipSpecial}
	c.decoding = s.decoding.copy(c.write)
	return c
}

func (s *Stream) write(c chunk) { s.text.WriteString(c.text) }

// Flush returns the rest of the text, which ends here.
func (s *Stream) Flush() string {
	s.decoding.end()
	return s.take()
}

func (s *Stream) take() string {
	text := s.text.String()
	s.text.Reset()
	return text
}
