package tokenize

import "fmt"

// Truncation says which sequence loses tokens when an encoding is too long.
type Truncation int

// The strategies of the reference. All drop tokens at the end of a sequence.
const (
	LongestFirst Truncation = iota // the longer one until both are equal, then both
	OnlyFirst                      // the text
	OnlySecond                     // the pair
)

// truncate shortens the sequences so that they fit opts.MaxLength together with the special tokens.
func truncate(sequences *[2][]found, pair bool, special int, opts *Options) error {
	if opts.MaxLength == 0 {
		return nil
	}
	room := opts.MaxLength - special
	if room < 0 {
		return fmt.Errorf("max length %d, want at least %d for the special tokens", opts.MaxLength, special)
	}
	lengths := [2]int{len(sequences[0]), len(sequences[1])}
	excess := lengths[0] + lengths[1] - room
	if excess <= 0 {
		return nil
	}
	switch opts.Truncation {
	case LongestFirst:
		lengths = longestFirst(lengths, pair, room)
	case OnlyFirst, OnlySecond:
		target := int(opts.Truncation - OnlyFirst)
		if target == 1 && !pair {
			return fmt.Errorf("truncation of the second text only, but there is one text")
		}
		// The reference refuses to empty a sequence, except when there is room for nothing.
		if room > 0 && lengths[target] <= excess {
			return fmt.Errorf("max length %d: text %d has %d tokens, too few to drop %d", opts.MaxLength, target+1, lengths[target], excess)
		}
		if lengths[target] -= excess; room == 0 {
			lengths = [2]int{}
		}
	default:
		return fmt.Errorf("truncation strategy %d is unknown", opts.Truncation)
	}
	sequences[0], sequences[1] = sequences[0][:lengths[0]], sequences[1][:lengths[1]]
	return nil
}

// longestFirst returns the lengths that fit room: the shorter sequence stays
// whole while it takes at most half, otherwise each gets half and the odd token
// goes to the longer one, or to the second where they are equal.
func longestFirst(lengths [2]int, pair bool, room int) [2]int {
	if !pair {
		return [2]int{room, 0}
	}
	short, long := 0, 1
	if lengths[0] > lengths[1] {
		short, long = 1, 0
	}
	if 2*lengths[short] > room {
		lengths[short] = room / 2
	}
	lengths[long] = room - lengths[short]
	return lengths
}
