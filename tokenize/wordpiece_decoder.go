package tokenize

import "strings"

// wordPieceDecoder joins continuations to what stands before them and puts a space before the rest.
type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func readWordPieceDecoder(o *object) decoder {
	return wordPieceDecoder{prefix: o.string("prefix"), cleanup: o.bool("cleanup")}
}

func (d wordPieceDecoder) decode(tokens []string) []string {
	texts := make([]string, len(tokens))
	for i, token := range tokens {
		switch {
		case i == 0:
		case strings.HasPrefix(token, d.prefix):
			token = token[len(d.prefix):]
		default:
			token = " " + token
		}
		if d.cleanup {
			token = cleanUp(token)
		}
		texts[i] = token
	}
	return texts
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
