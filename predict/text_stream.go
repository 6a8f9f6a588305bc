package predict

import (
	"strings"

	"github.com/gopeft/gopeft/tokenize"
)

// textStream tells the text of answers as their tokens are made. What may be the begin
// of a stop string is held back until it is known not to be one.
type textStream struct {
	tokenizer *tokenize.Tokenizer
	stops     []string
	tell      func(answer int, text string)
	answers   map[int]*toldText
}

// toldText is how far the text of one answer was told.
type toldText struct {
	stream *tokenize.Stream
	told   int    // bytes
	held   string // what comes after them and may begin a stop string
}

func newTextStream(tokenizer *tokenize.Tokenizer, p Prompt) *textStream {
	return &textStream{tokenizer: tokenizer, stops: p.StopStrings, tell: p.OnText, answers: map[int]*toldText{}}
}

func (s *textStream) answer(number int) *toldText {
	if s.answers[number] == nil {
		s.answers[number] = &toldText{stream: s.tokenizer.Stream(true)}
	}
	return s.answers[number]
}

// add takes the next token of an answer.
func (s *textStream) add(number, id int) {
	if s.tell == nil {
		return
	}
	a := s.answer(number)
	text := a.held + a.stream.Add(id)
	sure := len(text) - s.heldBack(text)
	a.held = text[sure:]
	s.say(number, text[:sure])
}

// end tells what is left of an answer's whole text.
func (s *textStream) end(number int, text string) {
	if s.tell == nil {
		return
	}
	s.say(number, text[min(s.answer(number).told, len(text)):])
}

func (s *textStream) say(number int, text string) {
	if text != "" {
		s.tell(number, text)
		s.answers[number].told += len(text)
	}
}

// heldBack is how many bytes at the end of a text are a stop string or begin one.
func (s *textStream) heldBack(text string) int {
	most := len(text) - len(beforeStop(text, s.stops))
	for _, stop := range s.stops {
		for n := min(len(stop), len(text)); n > most; n-- {
			if strings.HasPrefix(stop, text[len(text)-n:]) {
				most = n
			}
		}
	}
	return most
}
