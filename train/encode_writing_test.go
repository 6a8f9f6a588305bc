package train

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gopeft/gopeft/models"
)

// chatOf is a chat template: a line a message, which the role begins.
func chatOf(messages []Message, generationPrompt bool) (string, error) {
	text := ""
	for _, m := range messages {
		text += m.Role[:1] + " " + m.Content + "\n"
	}
	if generationPrompt {
		text += "a "
	}
	return text, nil
}

func TestEncodeWriting(t *testing.T) {
	target := "efg hi"
	pair := Example{Text: "ab cd", Target: &target}
	chat := Example{Messages: []Message{{"user", "x y"}, {"assistant", "p q"}, {"user", "z"}, {"assistant", "r"}}}
	shift := func(labels []int) []int { return append([]int{7}, labels[:len(labels)-1]...) }
	for _, test := range []struct {
		name    string
		example Example
		options EncodeOptions
		want    []Feature
	}{
		{
			"of a text with a target the target and the end are learnt", pair,
			EncodeOptions{Task: models.CausalLM, Writing: Writing{End: 9}},
			[]Feature{{IDs: []int{1, 'a', 'c', 'e', 'h', 9}, Reads: []int{2, 3, 4}, Targets: []int{'e', 'h', 9}}},
		},
		{
			"what is too long loses the begin of the text, but for special tokens", pair,
			EncodeOptions{Task: models.CausalLM, MaxLength: 5, Writing: Writing{End: 9}},
			[]Feature{{IDs: []int{1, 'c', 'e', 'h', 9}, Reads: []int{1, 2, 3}, Targets: []int{'e', 'h', 9}}},
		},
		{
			"and then the end of the target", pair,
			EncodeOptions{Task: models.CausalLM, MaxLength: 3, Writing: Writing{End: 9}},
			[]Feature{{IDs: []int{1, 'e', 'h'}, Reads: []int{0, 1}, Targets: []int{'e', 'h'}}},
		},
		{
			"a plain text is learnt whole; a virtual token predicts the first",
			Example{Text: "ab cd"},
			EncodeOptions{Task: models.CausalLM, Writing: Writing{End: 2, InputRows: true}},
			[]Feature{{IDs: []int{1, 'a', 'c', 2}, Reads: []int{-1, 0, 1, 2}, Targets: []int{1, 'a', 'c', 2}}},
		},
		{
			"a long one in pieces",
			Example{Text: "ab cd"},
			EncodeOptions{Task: models.CausalLM, MaxLength: 3, Writing: Writing{End: -1}},
			[]Feature{{IDs: []int{1, 'a', 'c'}, Reads: []int{0, 1}, Targets: []int{'a', 'c'}}, {IDs: []int{2}, Reads: []int{}}},
		},
		{
			"of a chat the assistant's messages", chat,
			EncodeOptions{Task: models.CausalLM, Writing: Writing{Chat: chatOf}},
			[]Feature{{
				IDs:   []int{'u', 'x', 'y', 'a', 'p', 'q', 'u', 'z', 'a', 'r'},
				Reads: []int{3, 4, 8}, Targets: []int{'p', 'q', 'r'},
			}},
		},
		{
			"a decoder reads what it is to write, shifted", pair,
			EncodeOptions{Task: models.Seq2SeqLM, Writing: Writing{ShiftRight: shift}},
			[]Feature{{IDs: []int{1, 'a', 'c', 2}, DecoderIDs: []int{7, 1, 'e', 'h'}, Reads: []int{0, 1, 2, 3}, Targets: []int{1, 'e', 'h', 2}}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Encode(pieces{}, []Example{test.example}, test.options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEncodeWritingProblems(t *testing.T) {
	empty := ""
	changing := func(messages []Message, generationPrompt bool) (string, error) {
		text, err := chatOf(messages, generationPrompt)
		return strings.Repeat("i", len(messages)) + " " + text, err
	}
	user := Message{"user", "x"}
	for want, test := range map[string]struct {
		example Example
		writing Writing
	}{
		"the target is empty":          {Example{Text: "a", Target: &empty}, Writing{}},
		"has no chat template":         {Example{Messages: []Message{user}}, Writing{}},
		"no message of the role":       {Example{Messages: []Message{user}}, Writing{Chat: chatOf}},
		"message 1: the chat template": {Example{Messages: []Message{user, {"assistant", "y"}}}, Writing{Chat: changing}},
	} {
		_, err := Encode(pieces{}, []Example{test.example}, EncodeOptions{Task: models.CausalLM, Writing: test.writing})
		if !errors.Is(err, ErrExample) || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, want %q", err, want)
		}
	}
}

func TestContextOf(t *testing.T) {
	target, other := "efg hi", "z"
	examples := []Example{{Text: "ab cd", Target: &target}, {Text: "x", Target: &other}}
	ids, kinds, err := ContextOf(pieces{}, examples, EncodeOptions{Writing: Writing{End: 9, Separator: " ="}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 'a', 'c', '=', 'e', 'h', 9, 'x', '=', 'z', 9}, ids); diff != "" {
		t.Errorf("tokens: %s", diff)
	}
	if diff := cmp.Diff([]int{1, 2, 2, 3, 4, 4, 4, 6, 7, 8, 8}, kinds); diff != "" {
		t.Errorf("kinds: %s", diff)
	}
	empty := ""
	if _, _, err := ContextOf(pieces{}, []Example{{Text: "x", Target: &empty, Line: 3}}, EncodeOptions{}); !errors.Is(err, ErrExample) {
		t.Errorf("an empty target: %v", err)
	}
	_, _, err = ContextOf(pieces{}, []Example{{Text: "x", Line: 3}}, EncodeOptions{})
	if !errors.Is(err, ErrExample) || !strings.Contains(err.Error(), "line 3: found a text alone") {
		t.Errorf("a text without a target: %v", err)
	}
}
