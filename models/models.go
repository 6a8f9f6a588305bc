// Package models says what every base model promises: a [Backbone] turns token ids
// and prompts into hidden states, a [Head] turns those into scores. Start at
// models/auto, which loads one; models/bert shows how an architecture reads.
//
// A prompt is a value: models know prompts, not adapters. A batch is ragged: its
// sequences lie row under row, without padding and without masks.
//
// A model is immutable once loaded and safe for concurrent use, except that who
// trains a head's parameters must do so alone.
//
// Letters in the comments: T tokens, P virtual tokens, R packed rows of a batch,
// B sequences of a batch, d hidden size, H heads, k head size, C scores.
package models

import (
	"errors"
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
)

var (
	// ErrUnknownArchitecture: no code for the model_type of config.json.
	ErrUnknownArchitecture = errors.New("unknown architecture")
	// ErrUnsupportedTask: the architecture has no head for the task.
	ErrUnsupportedTask = errors.New("unsupported task")
	// ErrTooLong: a sequence and its prompt need more positions than the model has.
	ErrTooLong = errors.New("sequence too long")
	// ErrTokenID: a token id or token type outside of the model's tables.
	ErrTokenID = errors.New("token id out of range")
	// ErrPrompt: a prompt whose sizes are not those of the model.
	ErrPrompt = errors.New("prompt does not fit the model")
	// ErrLabels: labels that do not fit the task or the batch.
	ErrLabels = errors.New("labels do not fit")
)

// KV are the keys and values of one layer, [P, H·k] each.
type KV struct{ Keys, Values mat.Tensor }

// Prompt is what an adapter puts before a sequence and adds to the layers that it goes
// through. The zero Prompt adds nothing.
type Prompt struct {
	Input mat.Tensor // [P, d] rows before the word embeddings; nil: none
	// DecoderInput are rows before the decoder's word embeddings, [P, d]; nil: none.
	DecoderInput mat.Tensor
	// Past has one entry a layer, of the decoder where there is one: a cache that does not
	// start empty; nil: none.
	Past []KV
	// Deltas are what is done to layers, by their path as [layer.Module] has it; nil: nothing.
	Deltas map[string]layer.Delta
}

// Len returns the number of virtual tokens, P.
func (p *Prompt) Len() int { return p.inputLen() + p.pastLen() }

func (p *Prompt) inputLen() int {
	if p == nil || p.Input == nil {
		return 0
	}
	return kernel.Rows(p.Input)
}

func (p *Prompt) pastLen() int {
	if p == nil || len(p.Past) == 0 || p.Past[0].Keys == nil {
		return 0
	}
	return kernel.Rows(p.Past[0].Keys)
}

// Sequence is one unpadded text, as token ids.
type Sequence struct {
	IDs     []int
	TypeIDs []int   // token types, one a token; nil: all 0
	Prompt  *Prompt // nil: none. Sequences may share one, and a batch may mix several
	// Virtual says, for each token, which row of Prompt.Input takes its place, -1 for none:
	// the virtual tokens of P-tuning stand among the others. nil: they stand before them.
	Virtual []int
	// Reads are the tokens whose rows alone the head reads, in ascending order; -1 is the last
	// virtual token before them, -2 the one before it. nil: as Batch.FirstRows says.
	Reads []int
	// DecoderIDs are what the decoder of an encoder-decoder reads; Reads are then of them. nil:
	// IDs shifted to the right, as transformers' classifiers have it.
	DecoderIDs []int
	TaskID     int // for an adapter of several tasks, from 0; models do not look at it
}

// Batch is what a forward pass reads.
type Batch struct {
	Sequences []Sequence
	Dropout   *layer.Dropout // nil: evaluation
	// Pool lends the memory of the pass, which is the caller's until it resets the pool:
	// what the models return, and the gradients, are lost then. A backward pass takes back
	// the hidden states and the scores. nil: ordinary memory.
	Pool *Pool
	// Checkpointing computes the layers again in the backward pass instead of keeping what
	// it needs of them: the same numbers from less memory, in more time.
	Checkpointing bool
	// FirstRows: only the first row of each sequence is read. A backbone leaves rows that
	// nobody reads out of its last layer and of the Output, whose spans have those that are
	// read.
	FirstRows bool
	// EncoderOnly: of an encoder-decoder the encoder's rows are read.
	EncoderOnly bool
}

// For returns the batch as it is best computed for a head.
func (b Batch) For(head Head) Batch {
	_, b.FirstRows = head.(FirstRowReader)
	_, b.EncoderOnly = head.(EncoderReader)
	reader, ok := head.(TokenReader)
	if !ok {
		return b
	}
	b.Sequences = slices.Clone(b.Sequences)
	for i := range b.Sequences {
		if s := &b.Sequences[i]; s.Reads == nil && len(s.IDs)+s.before() > 0 {
			s.Reads = reader.Reads(*s)
		}
	}
	return b
}

// EncoderReader is a head that reads the encoder's rows and not the decoder's.
type EncoderReader interface{ ReadsEncoder() }

// FirstRowReader is a head that reads nothing but the first row of each sequence.
type FirstRowReader interface{ ReadsFirstRows() }

// TokenReader is a head that reads nothing but the rows of some tokens of each sequence:
// Reads gives what Sequence.Reads takes.
type TokenReader interface{ Reads(Sequence) []int }

// Pool is memory that is used again from step to step.
type Pool = kernel.Pool

// NewPool returns an empty pool.
func NewPool() *Pool { return kernel.NewPool() }

// Span is where one sequence lies in the rows of a batch, [Start, End). Its first
// Prompt rows are those of virtual tokens that stand before the tokens.
type Span struct{ Start, End, Prompt int }

// Output is what a backbone makes of a batch.
type Output struct {
	Hidden mat.Tensor // [R, d]
	Spans  []Span     // one a sequence
	// Prompts are those of the sequences, for what they add to the head's layers; nil: no
	// prompt adds to a layer.
	Prompts []*Prompt
}

// Deltas are what the prompts add to the rows in the layers behind the backbone's last.
func (o Output) Deltas(dropout *layer.Dropout) *layer.Deltas {
	return DeltasOf(o.Prompts, o.Spans, dropout)
}

// Shape is what adapters need to know of a model.
type Shape struct {
	ModelType    string
	Layers       int
	Hidden       int // d
	Embedding    int // width of a word embedding; d unless the model widens it
	Heads        int
	KVHeads      int // heads of keys and values; Heads unless the query heads are grouped
	HeadDim      int // k
	Vocab        int
	MaxPositions int // 0: unbounded
	// Switch is the length behind which all rows of a sequence stand at other angles: a cache
	// of a shorter one is of no use then; 0: none.
	Switch    int
	TypeVocab int // token types; 0: the model knows none
	// DecoderLayers and DecoderHeads are of the decoder that stands beside the encoder whose
	// sizes the others are; 0: there is one stack.
	DecoderLayers, DecoderHeads int
	PEFT                        PEFTLimits
}

// PEFTLimits are what Python PEFT cannot do with an architecture, though gopeft can.
type PEFTLimits struct {
	NoPast  bool // a prompt in the cache: transformers' model takes no past_key_values
	NoSizes bool // filling an adapter's sizes: config.json has names for them that PEFT does not know
}

// Backbone is a model without its head.
type Backbone interface {
	nn.Model
	Shape() Shape
	// Embed returns the word embeddings of ids, [len(ids), d], frozen.
	Embed(ids []int) (mat.Tensor, error)
	// Forward returns the last hidden states. It checks the batch before any work: the
	// errors are ErrTooLong, ErrTokenID and ErrPrompt.
	Forward(Batch) (Output, error)
}

// NamedParam is a trained parameter under the name that PEFT gives it, or transformers
// where all weights are trained.
type NamedParam = layer.Param

// Head turns hidden states into scores.
type Head interface {
	nn.Model
	// Forward returns [B, C] for a task with an answer a sequence, else [R, C].
	Forward(Output, *layer.Dropout) (mat.Tensor, error)
	// Params lists what is trained and saved with an adapter, under the names that
	// PEFT's modules_to_save gives them: classifier.weight. Always in one order.
	Params() []NamedParam
	// Clone copies what is trained and shares what is frozen.
	Clone() Head
}

// Guard turns the panic of an operator that was given wrong shapes into an error.
// Exported functions that run operators defer it; other panics go on.
func Guard(err *error) {
	// recover works in the deferred function alone, not in one that it calls.
	if recovered := recover(); recovered != nil {
		*err = kernel.Recovered(recovered)
	}
}

// Values returns the numbers of a tensor, row by row. They must not be written.
func Values(t mat.Tensor) []float32 { return kernel.Data(t) }

// Argmax returns the place of the largest score, the first of equals.
func Argmax(scores []float32) int {
	best := 0
	for i, score := range scores {
		if score > scores[best] {
			best = i
		}
	}
	return best
}
