package tokenize

import "strings"

// readWordPieceDecoder reads what joins continuations to what stands before them and puts
// a space before the rest.
func readWordPieceDecoder(o *object) decoder {
	return newWordPieceDecoder(o.string("prefix"), o.bool("cleanup"))
}

func newWordPieceDecoder(prefix string, cleanup bool) decoder {
	return tokenMap(func(number int, token string) string {
		rest, continues := strings.CutPrefix(token, prefix)
		switch {
		case number == 0:
		case continues:
			token = rest
		default:
			token = " " + token
		}
		if cleanup {
			token = cleanUp(token, wordPieceCleanUp)
		}
		return token
	})
}
