package adapters

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// Info is gopeft.json: what is needed to use an adapter as it was trained, and what
// PEFT has no place for. The zero value is no file.
type Info struct {
	Gopeft      string            `json:"gopeft_version,omitempty"` // the version that trained it
	Task        models.Task       `json:"task,omitempty"`
	ProblemType string            `json:"problem_type,omitempty"`
	Labels      []string          `json:"labels,omitempty"`     // in the order of the outputs
	MaxLength   int               `json:"max_length,omitempty"` // of a text in tokens, special tokens included
	Columns     map[string]string `json:"columns,omitempty"`    // role (text, pair, label, …) to column of the data
	// Template is what the virtual tokens stand in, as package template reads it, and
	// Verbalizer the words of each label; nil: the labels are the vocabulary's tokens.
	Template   string              `json:"template,omitempty"`
	Verbalizer map[string][]string `json:"verbalizer,omitempty"`
	// Separator stands between a text and what CAUSAL_LM writes after it.
	Separator string    `json:"separator,omitempty"`
	Base      *BaseInfo `json:"base,omitempty"`

	// Unknown holds the keys of a newer version, which are kept.
	Unknown map[string]json.RawMessage `json:"-"`
}

// BaseInfo tells one base model from another.
type BaseInfo struct {
	ModelType string `json:"model_type,omitempty"`
	Layers    int    `json:"num_layers"`
	Hidden    int    `json:"hidden_size"`
	Vocab     int    `json:"vocab_size"`
	// WordEmbeddings is the SHA-256 of up to 64 rows of the word embeddings, evenly
	// spaced, as little-endian float32: bases of one shape differ in it.
	WordEmbeddings string `json:"word_embeddings_sha256"`
}

// fingerprintRows is how many word embeddings a BaseInfo reads.
const fingerprintRows = 64

// DescribeBase makes the BaseInfo of a base.
func DescribeBase(base models.Backbone) (*BaseInfo, error) {
	shape := base.Shape()
	ids := make([]int, min(fingerprintRows, shape.Vocab))
	for i := range ids {
		ids[i] = i * shape.Vocab / len(ids)
	}
	rows, err := base.Embed(ids)
	if err != nil {
		return nil, fmt.Errorf("word embeddings of the base: %w", err)
	}
	sum := sha256.New()
	writeFloats(sum, kernel.Data(rows))
	return &BaseInfo{shape.ModelType, shape.Layers, shape.Hidden, shape.Vocab, hex.EncodeToString(sum.Sum(nil))}, nil
}

// newInfo describes an adapter that is about to be trained.
func newInfo(base *models.Model) (Info, error) {
	described, err := DescribeBase(base.Backbone)
	if err != nil {
		return Info{}, err
	}
	return Info{Task: base.Task, ProblemType: base.ProblemType, Labels: base.Labels, Base: described}, nil
}

// ParseInfo reads a gopeft.json.
func ParseInfo(data []byte) (Info, error) {
	var info Info
	if err := json.Unmarshal(data, &info); err != nil {
		return Info{}, fmt.Errorf("%s: %w: %w", hfio.InfoFile, hfio.ErrFormat, err)
	}
	if err := json.Unmarshal(data, &info.Unknown); err != nil {
		return Info{}, fmt.Errorf("%s: %w: %w", hfio.InfoFile, hfio.ErrFormat, err)
	}
	maps.DeleteFunc(info.Unknown, func(key string, _ json.RawMessage) bool { return infoKeys[key] })
	if len(info.Unknown) == 0 {
		info.Unknown = nil
	}
	return info, nil
}

// infoKeys are the keys that Info has a field for.
var infoKeys = func() map[string]bool {
	keys := map[string]bool{}
	for field := range reflect.TypeFor[Info]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		keys[name] = true
	}
	return keys
}()

// Encode writes the file: sorted keys, indented by 2, a newline at the end. The
// zero Info gives nil.
func (i Info) Encode() ([]byte, error) {
	known, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(known, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, i.Unknown)
	if len(all) == 0 {
		return nil, nil
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hfio.InfoFile, err)
	}
	return append(data, '\n'), nil
}
