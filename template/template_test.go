package template_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/embedded"
	"github.com/gopeft/gopeft/template"
	"github.com/gopeft/gopeft/tokenize"
)

func TestParse(t *testing.T) {
	parsed, err := template.Parse("[P2]It was [P1] [MASK] . {text} {pair}{text}[P1][P12x]")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(parsed.Fields(), parsed.VirtualTokens()); got != "[text pair] 2" {
		t.Errorf("found the fields and virtual tokens %s, want [text pair] 2", got)
	}
	for source, want := range map[string][]string{
		"It was good. {text}":          {"0 times [MASK]"},
		"[MASK] and [MASK]: {text}":    {"2 times [MASK]"},
		"It is [MASK].":                {"no field of an example"},
		"[P1][P3] [MASK] {text}":       {"[P3] and no [P2]"},
		"[P0] [MASK] {text}":           {"[P0]", "[P1] to [P1024]"},
		"[P99999999999] [MASK] {text}": {"[P99999999999]"},
		"[MASK] {text":                 {"'{' without its other half"},
		"[MASK] {}":                    {"{}"},
		"{":                            {"without its other half", "0 times [MASK]", "no field"},
	} {
		_, err := template.Parse(source)
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) || !errors.Is(err, template.ErrTemplate) {
				t.Errorf("%s: found %v, want %q", source, err, part)
			}
		}
	}
}

func TestParseVerbalizer(t *testing.T) {
	v, err := template.ParseVerbalizer("plus = good, very good\nminus=bad;\n zero=so-so\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%q %q", v.Labels, v.Words); got != `["plus" "minus" "zero"] map["minus":["bad"] "plus":["good" "very good"] "zero":["so-so"]]` {
		t.Error(got)
	}
	for source, want := range map[string][]string{
		"plus=good":               {"1 labels"},
		"":                        {"0 labels"},
		"good;bad":                {`"good", want label=word`, `"bad", want label=word`},
		"a=x;a=y;b=":              {`the label "a" twice`, `an empty word of "b"`},
		"plus=good,,great;minus=": {`an empty word of "plus"`, `an empty word of "minus"`},
	} {
		_, err := template.ParseVerbalizer(source)
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) || !errors.Is(err, template.ErrVerbalizer) {
				t.Errorf("%s: found %v, want %q", source, err, part)
			}
		}
	}
}

// wordPiece is the embedded base's tokenizer.
func wordPiece(t *testing.T) *tokenize.Tokenizer {
	t.Helper()
	tokenizer, err := tokenize.Load(embedded.Files())
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

func bind(t *testing.T, tokenizer *tokenize.Tokenizer, source, verbalizer string) *template.Encoder {
	t.Helper()
	parsed, err := template.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	v, err := template.ParseVerbalizer(verbalizer)
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := parsed.Bind(tokenizer, v, template.Language{Task: models.MaskedLM, Vocab: tokenizer.VocabSize()})
	if err != nil {
		t.Fatal(err)
	}
	return encoder
}

// fields are those of an example.
func fields(values map[string]string) func(string) (string, error) {
	return func(name string) (string, error) { return values[name], nil }
}

// A template without trained tokens makes the tokens of the sentence that it comes to, with
// the mask's own token in the place of the mask.
func TestEncodeIsTokenizing(t *testing.T) {
	t.Run("WordPiece", func(t *testing.T) { compareWithSentences(t, wordPiece(t)) })
	t.Run("byte level", func(t *testing.T) {
		compareWithSentences(t, public(t, "roberta.json"))
	})
}

// public is a tokenizer of a well-known model.
func public(t *testing.T, name string) *tokenize.Tokenizer {
	t.Helper()
	file, err := os.ReadFile("../../shared/tokenizers/" + name)
	if err != nil {
		t.Skipf("the public tokenizer files are not beside the repository: %v", err)
	}
	tokenizer, err := tokenize.Parse(name, file)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

// Before a causal model's answer stands the sentence up to the mask, and the answer's words
// have the tokens of words behind a space.
func TestEncodeCausal(t *testing.T) {
	tokenizer := public(t, "gpt2.json")
	causal := template.Language{Vocab: tokenizer.VocabSize(), Task: models.CausalLM}
	parsed, err := template.Parse("Review: {text} All in all it was [MASK]")
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := parsed.Bind(tokenizer, nil, causal)
	if err != nil {
		t.Fatal(err)
	}
	in, err := encoder.Encode(fields(map[string]string{"text": "a moving film."}), 0)
	if err != nil {
		t.Fatal(err)
	}
	want, err := tokenizer.Encode("Review: a moving film. All in all it was good", nil)
	if err != nil {
		t.Fatal(err)
	}
	last := len(want.IDs) - 1
	if !slices.Equal(in.IDs, want.IDs[:last]) || !slices.Equal(in.Reads, []int{last - 1}) {
		t.Errorf("found %v, reads %v, want %v, the last", in.IDs, in.Reads, want.IDs[:last])
	}
	if class, err := encoder.Class("good"); err != nil || class != want.IDs[last] {
		t.Errorf("class %d, %v, want the token %d", class, err, want.IDs[last])
	}
	_, err = parsed.Bind(tokenizer, &template.Verbalizer{Labels: []string{"a"}, Words: map[string][]string{"a": {"unspeakably"}}}, causal)
	if err == nil || !strings.Contains(err.Error(), "tokens of it, want one: a causal") {
		t.Errorf("found %v, want an error of several tokens", err)
	}
	if parsed, err = template.Parse("[MASK]: {text}"); err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.Bind(tokenizer, nil, causal); err == nil || !strings.Contains(err.Error(), "want [MASK] at the end") {
		t.Errorf("found %v, want an error of the mask's place", err)
	}
	if _, err := parsed.Bind(tokenizer, nil, template.Language{}); err == nil || !strings.Contains(err.Error(), "without a mask token") {
		t.Errorf("found %v, want an error of the tokenizer", err)
	}
}

func compareWithSentences(t *testing.T, tokenizer *tokenize.Tokenizer) {
	mask, _ := tokenizer.Token(tokenizer.SpecialIDs().Mask)
	for _, source := range []string{
		"It was [MASK]. {text}", "{text} [MASK]", "({text}), {pair}! Is it [MASK] ?", "x[MASK]y {text}",
	} {
		for _, text := range []string{"a kind of unwarranted optimism", "Is it? 3,50 €", "two\nlines  of text ", "[MASK] and [P1] {text}", ""} {
			in, err := bind(t, tokenizer, source, "a=good;b=bad").Encode(fields(map[string]string{"text": text, "pair": "it's"}), 0)
			if err != nil {
				t.Fatal(err)
			}
			whole := strings.NewReplacer("{text}", text, "{pair}", "it's", "[MASK]", mask).Replace(source)
			want, err := tokenizer.Encode(whole, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(in.IDs, want.IDs) || in.Virtual != nil || in.Truncated {
				t.Errorf("%q: found %v, want %v", whole, in, want.IDs)
			}
			if len(in.Reads) != 1 || in.IDs[in.Reads[0]] != tokenizer.SpecialIDs().Mask {
				t.Errorf("%q: reads %v of %v, want the mask", whole, in.Reads, in.IDs)
			}
		}
	}
}

func TestEncodePlaces(t *testing.T) {
	tokenizer := wordPiece(t)
	// Labels of one and of two tokens: two masks.
	encoder := bind(t, tokenizer, "It was [P1][P2]. [P1] is [MASK]. {text}", "plus=good,very good;minus=bad")
	in, err := encoder.Encode(fields(map[string]string{"text": "a fine thing"}), 0)
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for i, id := range in.IDs {
		token, _ := tokenizer.Token(id)
		if in.Virtual[i] >= 0 {
			token = fmt.Sprintf("P%d", in.Virtual[i]+1)
		}
		if slices.Contains(in.Reads, i) {
			token = "?"
		}
		shown = append(shown, token)
	}
	if got := strings.Join(shown, " "); got != "[CLS] it was P1 P2 . P1 is ? ? . a fine thing [SEP]" {
		t.Error(got)
	}
	if class, err := encoder.Class("minus"); class != 1 || err != nil {
		t.Errorf("class %d, %v, want 1", class, err)
	}
	if _, err := encoder.Class("good"); !errors.Is(err, template.ErrVerbalizer) {
		t.Errorf("found %v, want ErrVerbalizer", err)
	}
}

// What does not fit is taken from the ends of the longest fields; the template stays.
func TestEncodeTruncates(t *testing.T) {
	tokenizer := wordPiece(t)
	encoder := bind(t, tokenizer, "{text}, [P1] [MASK] {pair} it", "a=good;b=bad")
	long := fields(map[string]string{"text": "one two three four five", "pair": "a fine thing"})
	for length, want := range map[int]string{
		14: "[CLS] one two three four five , [MASK] [MASK] a fine thing it [SEP]", // as long as it is
		12: "[CLS] one two three , [MASK] [MASK] a fine thing it [SEP]",
		11: "[CLS] one two three , [MASK] [MASK] a fine it [SEP]",
		7:  "[CLS] one , [MASK] [MASK] it [SEP]",
		6:  "[CLS] , [MASK] [MASK] it [SEP]",
	} {
		in, err := encoder.Encode(long, length)
		if err != nil {
			t.Fatal(err)
		}
		var tokens []string
		for _, id := range in.IDs {
			token, _ := tokenizer.Token(id)
			tokens = append(tokens, token)
		}
		if got := strings.Join(tokens, " "); got != want || in.Truncated != (length < 14) {
			t.Errorf("%d tokens, truncated %v: %s, want %s", length, in.Truncated, got, want)
		}
	}
	if _, err := encoder.Encode(long, 5); err == nil || !strings.Contains(err.Error(), "at least the 6 tokens of the template alone") {
		t.Errorf("found %v, want an error of the template's length", err)
	}
}

func TestBindErrors(t *testing.T) {
	gloss := wordPiece(t)
	parsed, err := template.Parse("[MASK] {text}")
	if err != nil {
		t.Fatal(err)
	}
	_, err = parsed.Bind(gloss, &template.Verbalizer{Labels: []string{"a", "b"}, Words: map[string][]string{"a": {"\u200b", "€"}}}, template.Language{})
	for _, want := range []string{`word "\u200b" of label "a": found no token`, `word "€" of label "a": found the token of unknown words`, `found no word of label "b"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, want %q", err, want)
		}
	}
	// Without a verbalizer a label is a token.
	encoder, err := parsed.Bind(gloss, nil, template.Language{Vocab: gloss.VocabSize()})
	if err != nil {
		t.Fatal(err)
	}
	class, err := encoder.Class("Animal")
	if err != nil || encoder.Labels()[class] != "animal" {
		t.Errorf("class %d, %v, want the token animal", class, err)
	}
	if _, err := encoder.Class("very good"); err == nil || !strings.Contains(err.Error(), `label "very good", which is a token where no verbalizer says its words: found 2 tokens of it, want one`) {
		t.Errorf("found %v, want an error of two tokens", err)
	}
}
