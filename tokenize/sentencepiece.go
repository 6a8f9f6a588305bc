package tokenize

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// pieceModel is what counts here of a sentencepiece model, a ModelProto.
// Source: sentencepiece, sentencepiece_model.proto.
type pieceModel struct {
	tokens       []string
	scores       []float64
	kinds        []uint64
	modelType    uint64
	byteFallback bool
	unknown      string
	charsmap     []byte // nil: none
}

// The types of models and of pieces that are known.
const (
	pieceUnigram = 1
	pieceBPE     = 2

	pieceControl     = 3
	pieceUserDefined = 4
)

// longestPiece bounds the bytes of a piece, and with them the time to find the merges: the
// trainer makes pieces of 16 characters.
const longestPiece = 1 << 12

// parsePieces reads a model file.
func parsePieces(data []byte) (*pieceModel, error) {
	m := &pieceModel{modelType: pieceUnigram, unknown: "<unk>"}
	err := eachField(data, func(f wireField) error {
		switch f.number {
		case 1:
			return m.addPiece(f.bytes)
		case 2:
			return eachField(f.bytes, m.trainerField)
		case 3:
			return eachField(f.bytes, m.normalizerField)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(m.tokens) == 0 {
		return nil, fmt.Errorf("no pieces, want a sentencepiece model")
	}
	return m, nil
}

func (m *pieceModel) addPiece(data []byte) error {
	token, score, kind := "", float32(0), uint64(1)
	err := eachField(data, func(f wireField) error {
		switch f.number {
		case 1:
			token = validUTF8(f.bytes)
		case 2:
			score = math.Float32frombits(uint32(f.value))
		case 3:
			kind = f.value
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("piece %d: %w", len(m.tokens), err)
	}
	if len(token) > longestPiece {
		return fmt.Errorf("piece %d: %d bytes, want at most %d", len(m.tokens), len(token), longestPiece)
	}
	if s := float64(score); math.IsNaN(s) || math.IsInf(s, 0) {
		return fmt.Errorf("piece %d: score %v, want a number", len(m.tokens), score)
	}
	m.tokens, m.scores, m.kinds = append(m.tokens, token), append(m.scores, float64(score)), append(m.kinds, kind)
	return nil
}

func (m *pieceModel) trainerField(f wireField) error {
	switch f.number {
	case 3:
		m.modelType = f.value
	case 35:
		m.byteFallback = f.value != 0
	case 45:
		m.unknown = validUTF8(f.bytes)
	}
	return nil
}

func (m *pieceModel) normalizerField(f wireField) error {
	if f.number == 2 && len(f.bytes) > 0 {
		m.charsmap = f.bytes
	}
	return nil
}

// wireField is a field of a message: bytes or, of the other types, a value.
type wireField struct {
	number protowire.Number
	bytes  []byte
	value  uint64
}

// eachField calls f with the fields of a message in order.
func eachField(data []byte, f func(wireField) error) error {
	for at := 0; at < len(data); {
		field, size, err := readField(data[at:])
		if err != nil {
			return fmt.Errorf("byte %d: %w", at, err)
		}
		if err := f(field); err != nil {
			return err
		}
		at += size
	}
	return nil
}

func readField(data []byte) (field wireField, size int, err error) {
	number, kind, size := protowire.ConsumeTag(data)
	if size < 0 {
		return field, 0, protowire.ParseError(size)
	}
	field.number = number
	n, rest := 0, data[size:]
	switch kind {
	case protowire.VarintType:
		field.value, n = protowire.ConsumeVarint(rest)
	case protowire.BytesType:
		field.bytes, n = protowire.ConsumeBytes(rest)
	case protowire.Fixed32Type:
		var value uint32
		value, n = protowire.ConsumeFixed32(rest)
		field.value = uint64(value)
	default:
		n = protowire.ConsumeFieldValue(number, kind, rest)
	}
	if n < 0 {
		return field, 0, protowire.ParseError(n)
	}
	return field, size + n, nil
}
