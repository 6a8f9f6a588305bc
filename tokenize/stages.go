package tokenize

// normalizer rewrites a text: it reads in and appends to the empty out.
type normalizer interface {
	normalize(in, out *text)
}

// preTokenizer cuts each of t.words into smaller ones. It may rewrite t.
type preTokenizer interface {
	preTokenize(t *text)
}

// piece is a part of a word that has an id.
type piece struct {
	id         int32
	start, end int32 // bytes of the word
}

// model appends the pieces of a word, which is not empty, to pieces.
type model interface {
	tokenize(pieces []piece, word []byte) ([]piece, error)
	id(token string) (int, bool)
	token(id int) (string, bool)
	size() int
}

// vocabulary is what a model knows of its tokens.
type vocabulary struct {
	ids    map[string]int
	tokens map[int]string
}

func (v *vocabulary) id(token string) (int, bool) {
	id, ok := v.ids[token]
	return id, ok
}

func (v *vocabulary) token(id int) (string, bool) {
	token, ok := v.tokens[id]
	return token, ok
}

func (v *vocabulary) size() int { return len(v.ids) }

// decoder turns each token into the text it stands for, given its neighbours.
type decoder interface {
	decode(tokens []string) []string
}

// The kinds a tokenizer.json can name. A new kind is one file and one line here.
var (
	normalizers = map[string]func(*object) normalizer{
		"BertNormalizer": readBertNormalizer,
		"NFC":            readNFC,
		"NFD":            readNFD,
	}
	preTokenizers = map[string]func(*object) preTokenizer{
		"BertPreTokenizer": readBertPreTokenizer,
		"ByteLevel":        readByteLevel,
		"Digits":           readDigits,
		"Split":            readSplit,
	}
	models = map[string]func(*object) model{
		"BPE":       readBPE,
		"WordPiece": readWordPiece,
	}
	postProcessors = map[string]func(*object) *template{
		"TemplateProcessing": readTemplate,
		"BertProcessing":     readBertProcessing,
		"ByteLevel":          readByteLevelPost,
		"RobertaProcessing":  readRoberta,
	}
	decoders = map[string]func(*object) decoder{
		"ByteLevel": readByteLevelDecoder,
		"WordPiece": readWordPieceDecoder,
	}
)

// A sequence holds other stages, so that it cannot be in the table that it reads.
func init() {
	preTokenizers["Sequence"] = readSequence
	postProcessors["Sequence"] = readPostSequence
}
