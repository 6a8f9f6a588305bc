package tokenize

import "fmt"

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
	asIs       bool  // shown as the text it stands for, not as its token
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

// bytesOf returns the tokens of a text's bytes, such as <0x41>, if there are all of them.
func (v *vocabulary) bytesOf(s []byte) ([]int32, bool) {
	ids := make([]int32, len(s))
	for i, b := range s {
		id, known := v.ids[fmt.Sprintf("<0x%02X>", b)]
		if !known {
			return nil, false
		}
		ids[i] = int32(id)
	}
	return ids, true
}

// The kinds a tokenizer.json can name. A new kind is one file and one line here.
var (
	normalizers = map[string]func(*object) normalizer{
		"BertNormalizer": readBertNormalizer,
		"ByteLevel":      readByteLevelNormalizer,
		"Lowercase":      readLowercase,
		"NFC":            readNFC,
		"NFD":            readNFD,
		"NFKC":           readNFKC,
		"NFKD":           readNFKD,
		"Nmt":            readNmt,
		"Precompiled":    readPrecompiled,
		"Prepend":        readPrepend,
		"Replace":        readReplace,
		"Strip":          readStrip,
		"StripAccents":   readStripAccents,
	}
	preTokenizers = map[string]func(*object) preTokenizer{
		"BertPreTokenizer": readBertPreTokenizer,
		"ByteLevel":        readByteLevel,
		"Digits":           readDigits,
		"Metaspace":        readMetaspacePreTokenizer,
		"Punctuation":      readPunctuation,
		"Split":            readSplit,
		"WhitespaceSplit":  readWhitespaceSplit,
	}
	models = map[string]func(*object) model{
		"BPE":       readBPE,
		"Unigram":   readUnigram,
		"WordPiece": readWordPiece,
	}
	postProcessors = map[string]func(*object) *template{
		"TemplateProcessing": readTemplate,
		"BertProcessing":     readBertProcessing,
		"ByteLevel":          readByteLevelPost,
		"RobertaProcessing":  readRoberta,
	}
	decoders = map[string]func(*object) decoder{
		"ByteFallback": readByteFallback,
		"ByteLevel":    readByteLevelDecoder,
		"Fuse":         readFuse,
		"Metaspace":    readMetaspaceDecoder,
		"Replace":      readReplaceDecoder,
		"Strip":        readStripDecoder,
		"WordPiece":    readWordPieceDecoder,
	}
)

// A sequence holds other stages, so that it cannot be in the table that it reads.
func init() {
	normalizers["Sequence"] = readNormalizerSequence
	preTokenizers["Sequence"] = readSequence
	postProcessors["Sequence"] = readPostSequence
	decoders["Sequence"] = readDecoderSequence
}
