package train

import "strings"

// EntityScores are measured over whole entities: one is right if its type, its first
// and its last word are.
type EntityScores struct{ Precision, Recall, F1 float64 }

// EntityF1 compares the tags of sentences as seqeval 1.2.2 does in its default mode,
// which is that of the CoNLL-2000 script: an I- that follows no entity of its type
// begins one. IOB2 tags, and IOBES ones.
func EntityF1(predicted, wanted [][]string) EntityScores {
	var c counts
	for i, tags := range wanted {
		found := map[entity]bool{}
		for _, e := range entities(tags) {
			found[e] = true
		}
		guesses := entities(predicted[i])
		for _, e := range guesses {
			c.right += oneIf(found[e])
		}
		c.wanted += len(found)
		c.predicted += len(guesses)
	}
	return EntityScores{Precision: ratio(c.right, c.predicted), Recall: ratio(c.right, c.wanted), F1: c.f1()}
}

type entity struct {
	kind       string
	start, end int // first and last word
}

func entities(tags []string) []entity {
	var list []entity
	previous, previousKind, start := byte('O'), "", 0
	for i := range len(tags) + 1 {
		tag, kind := byte('O'), "_"
		if i < len(tags) {
			tag, kind = splitTag(tags[i])
		}
		if ends(previous, tag, previousKind, kind) {
			list = append(list, entity{previousKind, start, i - 1})
		}
		if starts(previous, tag, previousKind, kind) {
			start = i
		}
		previous, previousKind = tag, kind
	}
	return list
}

// splitTag cuts "B-PER" into its letter and its kind.
func splitTag(tag string) (byte, string) {
	if tag == "" {
		return 'O', "_"
	}
	kind := tag[1:]
	if _, after, ok := strings.Cut(kind, "-"); ok {
		kind = after
	}
	if kind == "" {
		kind = "_"
	}
	return tag[0], kind
}

func ends(previous, tag byte, previousKind, kind string) bool {
	switch previous {
	case 'E', 'S':
		return true
	case 'B', 'I':
		if tag == 'B' || tag == 'S' || tag == 'O' {
			return true
		}
	}
	return previous != 'O' && previous != '.' && previousKind != kind
}

func starts(previous, tag byte, previousKind, kind string) bool {
	switch tag {
	case 'B', 'S':
		return true
	case 'E', 'I':
		if previous == 'E' || previous == 'S' || previous == 'O' {
			return true
		}
	}
	return tag != 'O' && tag != '.' && previousKind != kind
}
