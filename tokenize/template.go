package tokenize

import "fmt"

// template says how sequences and special tokens make one encoding.
type template struct {
	single, pair []part
	trim         []trimmed // one after the other
}

// part is a sequence or a run of special tokens.
type part struct {
	sequence int // 0: the text, 1: the pair, -1: special tokens
	typeID   int
	ids      []int
	tokens   []string
}

var bare = template{
	single: []part{{sequence: 0}},
	pair:   []part{{sequence: 0}, {sequence: 1, typeID: 1}},
}

func (t *template) parts(pair bool) []part {
	if t == nil {
		t = &bare
	}
	if pair {
		return t.pair
	}
	return t.single
}

// specialTokens counts the tokens that the template adds.
func (t *template) specialTokens(pair bool) int {
	n := 0
	for _, p := range t.parts(pair) {
		n += len(p.ids)
	}
	return n
}

// Affixes returns the special tokens that stand before and behind a text.
func (t *Tokenizer) Affixes() (before, behind []int) {
	ids := &before
	for _, p := range t.template.parts(false) {
		if p.sequence == 0 {
			ids = &behind
			continue
		}
		*ids = append(*ids, p.ids...)
	}
	return before, behind
}

func readTemplate(o *object) *template {
	special := map[string]part{}
	for name, token := range o.objects("special_tokens") {
		p := part{sequence: -1, ids: token.ints("ids"), tokens: token.strings("tokens")}
		if id := token.string("id"); id != name {
			token.wrong("id", quoted(id), quoted(name))
		}
		if len(p.ids) != len(p.tokens) {
			token.wrong("tokens", fmt.Sprintf("%d tokens", len(p.tokens)), fmt.Sprintf("%d, as there are ids", len(p.ids)))
			continue
		}
		special[name] = p
		token.done()
	}
	t := &template{single: readParts(o, "single", special), pair: readParts(o, "pair", special)}
	for _, p := range t.single {
		if p.sequence == 1 {
			o.wrong("single", "sequence B", "sequence A only")
		}
	}
	return t
}

func readParts(o *object, field string, special map[string]part) []part {
	var parts []part
	for _, item := range o.list(field) {
		name, content := item.only("SpecialToken", "Sequence")
		if content == nil {
			continue
		}
		id, typeID := content.string("id"), content.int("type_id")
		content.done()
		p := part{sequence: -1}
		switch {
		case name == "Sequence" && id == "A":
			p.sequence = 0
		case name == "Sequence" && id == "B":
			p.sequence = 1
		case name == "Sequence":
			content.wrong("id", quoted(id), `"A" or "B"`)
		default:
			known, ok := special[id]
			if !ok {
				content.wrong("id", quoted(id), "a name in special_tokens")
			}
			p = known
		}
		p.typeID = typeID
		parts = append(parts, p)
	}
	return parts
}

// readBertProcessing reads the older way to write BERT's template.
func readBertProcessing(o *object) *template {
	return bertTemplate(specialPart(o, "cls"), specialPart(o, "sep"))
}

// specialPart reads a special token with its id.
func specialPart(o *object, field string) part {
	token, id := o.tokenWithID(field)
	return part{sequence: -1, ids: []int{id}, tokens: []string{token}}
}

func bertTemplate(cls, sep part) *template {
	sepOfPair := sep
	sepOfPair.typeID = 1
	return &template{
		single: []part{cls, {sequence: 0}, sep},
		pair:   []part{cls, {sequence: 0}, sep, {sequence: 1, typeID: 1}, sepOfPair},
	}
}
