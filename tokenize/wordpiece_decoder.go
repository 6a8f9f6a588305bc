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
			token = cleanUp(token)
		}
		return token
	})
}

// englishCleanUp undoes, one after the other, the spaces that splitting English leaves behind.
var englishCleanUp = [...][2]string{
	{" .", "."},
	{" ?", "?"},
	{" !", "!"},
	{" ,", ","},
	{" ' ", "'"},
	{" n't", "n't"},
	{" 'm", "'m"},
	{" do not", " don't"},
	{" 's", "'s"},
	{" 've", "'ve"},
	{" 're", "'re"},
}

func cleanUp(s string) string {
	for _, pair := range englishCleanUp {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}
