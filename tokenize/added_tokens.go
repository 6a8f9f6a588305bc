package tokenize

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// AddedToken is a token that is looked for in the text before anything else happens to it.
type AddedToken struct {
	Content    string
	SingleWord bool // only where no word character touches it
	LStrip     bool // takes the white space before it along
	RStrip     bool // takes the white space after it along
	Normalized bool // looked for in the normalised text
	Special    bool // left out by Decode on request
}

type addedToken struct {
	AddedToken
	shown string // what Token and Decode give: the content, normalised where it is matched so
}

type addedTokens struct {
	ids         map[string]int
	contents    map[int]addedToken
	beyondModel int // how many of them the model does not know
	raw         matcher
	normalized  matcher
}

// match is a place of a text: an added token, or the text before or between them.
type match struct {
	start, end int // bytes
	token      int // -1: no added token
}

// matcher finds the leftmost, longest patterns of a set, one after the other.
type matcher struct {
	patterns *trie
	known    map[int]addedToken
}

func (m *matcher) empty() bool { return m.patterns.empty() }

// longest returns the longest pattern that s starts with and its length; -1 for none.
func (m *matcher) longest(s string) (token, length int) {
	token = -1
	at := int32(0)
	for i := range len(s) {
		if at = m.patterns.step(at, s[i]); at == 0 {
			break
		}
		if value := m.patterns.values[at]; value >= 0 {
			token, length = int(value), i+1
		}
	}
	return token, length
}

// split appends the places of s to matches, which cover all of s in order.
// A token that takes white space along can overlap the next one.
func (m *matcher) split(matches []match, s string) []match {
	done := 0
	for i := 0; i < len(s) && !m.empty(); {
		if m.patterns.root[s[i]] == 0 {
			i++
			continue
		}
		id, length := m.longest(s[i:])
		if id < 0 {
			i++
			continue
		}
		start, end := i, i+length
		i = end
		token := m.known[id]
		if token.SingleWord && (endsWithWord(s[:start]) || startsWithWord(s[end:])) {
			continue
		}
		if token.LStrip {
			start = max(len(strings.TrimRightFunc(s[:start], isWhite)), done)
		}
		if token.RStrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], isWhite))
		}
		if done < start {
			matches = append(matches, match{done, start, -1})
		}
		// This can overlap the match before, where that took white space along, or lie in it.
		if start < end {
			matches = append(matches, match{start, end, id})
			done = end
		}
	}
	if done < len(s) {
		matches = append(matches, match{done, len(s), -1})
	}
	return matches
}

func endsWithWord(s string) bool {
	r, size := utf8.DecodeLastRuneInString(s)
	return size > 0 && isWordCharacter(r)
}

func startsWithWord(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return size > 0 && isWordCharacter(r)
}

// newAddedTokens numbers the tokens as the reference does: a token the model
// knows keeps the model's id, another one takes the next free id, whatever id the file gives.
func newAddedTokens(tokens []AddedToken, m model, n normalizer, log *problems) *addedTokens {
	a := &addedTokens{ids: map[string]int{}, contents: map[int]addedToken{}}
	highest := -1
	for _, token := range tokens {
		if token.Content == "" {
			continue
		}
		id, known := a.ids[token.Content]
		if !known {
			id, known = m.id(token.Content)
		}
		if !known {
			id = max(highest+1, m.size())
			a.beyondModel++
		}
		highest = max(highest, id)
		if before, again := a.contents[id]; again && before.AddedToken != token {
			log.add("added_tokens", quoted(token.Content)+" twice, with different flags", "the same ones")
		}
		a.ids[token.Content], a.contents[id] = id, addedToken{AddedToken: token}
	}
	a.index(n, log)
	return a
}

// index makes the matchers. Tokens that the normaliser makes equal have the lowest id.
func (a *addedTokens) index(n normalizer, log *problems) {
	var raw, normalized []trieKey
	for _, id := range slices.Sorted(maps.Keys(a.contents)) {
		token := a.contents[id]
		if token.Normalized {
			token.shown = normalizeString(n, token.Content)
			if token.shown == "" {
				log.add("added_tokens", quoted(token.Content), "a token that the normaliser leaves something of")
			}
			normalized = append(normalized, trieKey{token.shown, int32(id)})
		} else {
			token.shown = token.Content
			raw = append(raw, trieKey{token.shown, int32(id)})
		}
		a.contents[id] = token
	}
	a.raw, a.normalized = matcher{newTrie(raw), a.contents}, matcher{newTrie(normalized), a.contents}
}

func normalizeString(n normalizer, s string) string {
	if n == nil {
		return s
	}
	var in, out text
	in.load(s, 0)
	n.normalize(&in, &out)
	return string(out.bytes)
}

// isSpecial asks by name, as the reference does: a special token whose
// normalised name differs from its content is not left out.
func (a *addedTokens) isSpecial(token string) bool {
	id, ok := a.ids[token]
	return ok && a.contents[id].Special
}
