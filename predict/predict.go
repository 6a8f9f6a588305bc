// Package predict answers with adapters: one frozen base model, loaded once, and
// any number of adapters over it. Start at [OpenBase], then [Base.Adapter], then
// the method of the adapter's task: [Predictor.Classify], [Predictor.Tag],
// [Predictor.Answer], or [Base.Generate]. It never trains and never writes.
//
// A Base and its Predictors are safe for concurrent use.
package predict

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/generate"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/template"
	"github.com/gopeft/gopeft/tokenize"
)

// What callers branch on.
var (
	// ErrTask: the method called is not that of the adapter's task.
	ErrTask = errors.New("wrong task")
	// ErrNotFinite: the adapter or the base holds, or leads to, NaN or infinite values.
	ErrNotFinite = errors.New("the scores hold NaN or infinite values")
)

// InputError is what is wrong with one of several inputs, by its place in them.
type InputError = generate.InputError

// Options says how a base is opened.
type Options struct{ auto.OpenOptions }

// Base is a frozen base model with its tokenizer.
type Base struct {
	model        *auto.Base
	pools        sync.Pool // of *models.Pool, one for each answer that is computed
	tokenizer    *tokenize.Tokenizer
	tokenizerErr error // why there is none: a base without a tokenizer still runs on token ids
	files        fs.FS
	generators   map[models.Task]*generate.Generator
	lock         sync.Mutex // of generators
}

// OpenBase loads a model directory. Close the Base when nothing uses it any more.
func OpenBase(fsys fs.FS, opts *Options) (*Base, error) {
	if opts == nil {
		opts = &Options{}
	}
	model, err := auto.Open(fsys, &opts.OpenOptions)
	if err != nil {
		return nil, err
	}
	b := &Base{model: model, files: fsys, generators: map[models.Task]*generate.Generator{}}
	b.pools.New = func() any { return models.NewPool() }
	b.tokenizer, b.tokenizerErr = LoadTokenizer(fsys)
	return b, nil
}

// LoadTokenizer reads the tokenizer of a model directory, or the one in its GGUF file.
func LoadTokenizer(fsys fs.FS) (*tokenize.Tokenizer, error) {
	files, err := hfio.TokenizerFiles(fsys)
	if err != nil {
		return nil, err
	}
	return tokenize.Load(files)
}

// Close gives the base's mapped files back.
func (b *Base) Close() error { return b.model.Close() }

// Shape returns the base's sizes.
func (b *Base) Shape() models.Shape { return b.model.Shape() }

// Files returns the files of the base.
func (b *Base) Files() fs.FS { return b.files }

// Tokenizer returns the base's tokenizer.
func (b *Base) Tokenizer() (*tokenize.Tokenizer, error) { return b.tokenizer, b.tokenizerErr }

// Predictor is a base with one adapter, or without.
type Predictor struct {
	Task        models.Task
	ProblemType string   // of SEQ_CLS; "": single label, or a regression where there is one label
	Labels      []string // names of the scores
	TaskID      int      // which task of an adapter of several the texts belong to
	MaxLength   int      // of a text in tokens, special tokens included; longer ones are cut
	Separator   string   // between a text and what is written after it: of CAUSAL_LM, as the adapter was trained

	PeftConfig hfio.AdapterConfig // the adapter's, as its file has it; zero: the base alone

	// OtherBase: gopeft.json says that the adapter was trained on a base with other
	// weights. The answers are worth little then.
	OtherBase bool

	base     *Base
	adapter  *adapters.Frozen  // nil: the base alone
	template *template.Encoder // nil: texts are read as they are
	forward  func(models.Batch) (mat.Tensor, models.Output, error)
	// shiftRight makes of labels what a decoder beside an encoder reads; nil: there is none.
	shiftRight func(labels []int) []int
}

// Adapter loads an adapter directory over the base.
func (b *Base) Adapter(fsys fs.FS) (*Predictor, error) {
	file, err := hfio.OpenAdapter(fsys, nil)
	if err != nil {
		return nil, err
	}
	p, err := b.adapter(file)
	return p, errors.Join(err, file.Close())
}

func (b *Base) adapter(file *hfio.Adapter) (*Predictor, error) {
	model, err := b.ModelFor(file)
	if err != nil {
		return nil, err
	}
	tuned, err := adapters.FromFile(file, model)
	if err != nil {
		return nil, err
	}
	frozen, err := tuned.Freeze()
	if err != nil {
		return nil, err
	}
	filled, err := b.TemplateOf(frozen.Info)
	if err != nil {
		return nil, err
	}
	p := b.predictor(model, frozen.Forward)
	p.adapter, p.PeftConfig, p.Separator = frozen, frozen.Config, frozen.Info.Separator
	if p.OtherBase, err = IsOtherBase(frozen.Info, model.Backbone); err != nil {
		return nil, err
	}
	p.template = filled
	if filled == nil {
		p.limit(frozen.Config.NumVirtualTokens)
	} else {
		p.limit(0) // they are tokens of the template
	}
	if length := frozen.Info.MaxLength; length > 0 && (p.MaxLength == 0 || length < p.MaxLength) {
		p.MaxLength = length
	}
	describe(frozen.Info, &p.Labels, &p.ProblemType)
	return p, nil
}

// describe sets what an adapter says of its scores in place of what the base says.
func describe(info adapters.Info, labels *[]string, problemType *string) {
	if len(info.Labels) == len(*labels) {
		*labels = info.Labels
	}
	*problemType = cmp.Or(info.ProblemType, *problemType)
}

// IsOtherBase tells whether an adapter's gopeft.json names a base with other weights
// than these. Where it names none, nothing is known and the answer is no.
func IsOtherBase(info adapters.Info, base models.Backbone) (bool, error) {
	if info.Base == nil {
		return false, nil
	}
	here, err := adapters.DescribeBase(base)
	if err != nil {
		return false, err
	}
	return *here != *info.Base, nil
}

// ModelFor puts the head on the base that an adapter needs: of its task, with as
// many scores as the file holds, or the language model's own where it has a template.
// Without a task type the head is the one that the base's own config.json names.
func (b *Base) ModelFor(file *hfio.Adapter) (*models.Model, error) {
	if filled, err := b.templateModel(file); filled != nil || err != nil {
		return filled, err
	}
	// The adapter's own head takes the place of one that is drawn here.
	spec := models.HeadSpec{Task: models.Task(file.Config.TaskType), ModulesToSave: file.Config.ModulesToSave, Rand: rand.New(rand.NewPCG(0, 0))}
	if file.Config.TaskType == "" {
		spec.Rand = nil
		return b.model.Model(spec)
	}
	r := b.model.Config().Reader()
	labels := r.Labels()
	if n := adapters.NumLabels(file); n > 0 && n != len(labels) && (spec.Task == models.SeqCls || spec.Task == models.TokenCls) {
		labels = make([]string, n)
		for i := range labels {
			labels[i] = fmt.Sprintf("LABEL_%d", i)
		}
	}
	spec.Labels = labels
	return b.model.Model(spec)
}

// Alone returns the base without an adapter, with the head that the checkpoint holds.
// With no task it is the one that config.json names.
func (b *Base) Alone(task models.Task) (*Predictor, error) {
	model, err := b.model.Model(models.HeadSpec{Task: task})
	if err != nil {
		return nil, err
	}
	p := b.predictor(model, model.Forward)
	p.limit(0)
	return p, nil
}

func (b *Base) predictor(model *models.Model, forward func(models.Batch) (mat.Tensor, models.Output, error)) *Predictor {
	p := &Predictor{Task: model.Task, ProblemType: model.ProblemType, Labels: model.Labels, base: b, forward: forward}
	if m, ok := model.Backbone.(models.EncoderDecoder); ok && model.Task != models.TokenCls {
		p.shiftRight = m.ShiftRight
	}
	return p
}

// limit leaves room for the virtual tokens in the model's positions.
func (p *Predictor) limit(virtualTokens int) {
	if positions := p.base.Shape().MaxPositions; positions > 0 {
		p.MaxLength = max(1, positions-virtualTokens)
	}
}

// Text is a text, or a pair of texts, or what else a template shows.
type Text struct {
	Text, Pair string
	Fields     map[string]string // by name, but "text" and "pair"
}

// batchSize is how many sequences are computed at once.
const batchSize = 32

// run encodes inputs and runs them in batches; each is given the rows of every
// batch's answer, which are lost when it returns.
func run[T any](ctx context.Context, p *Predictor, inputs []T, encode func(index int, input T) (encoded, error),
	each func(index int, encoding tokenize.Encoding, rows []float32, columns int),
) error {
	pool := p.base.pools.Get().(*models.Pool)
	defer p.base.giveBack(pool)
	for from := 0; from < len(inputs); from += batchSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := inputs[from:min(from+batchSize, len(inputs))]
		encodings := make([]tokenize.Encoding, len(part))
		batch := models.Batch{Sequences: make([]models.Sequence, len(part)), Pool: pool}
		for i, input := range part {
			encoding, err := encode(from+i, input)
			if err != nil {
				return &InputError{Input: from + i, Err: err}
			}
			encodings[i] = encoding.Encoding
			batch.Sequences[i] = models.Sequence{
				IDs: encoding.IDs, TypeIDs: encoding.TypeIDs, Virtual: encoding.virtual, Reads: encoding.reads, TaskID: p.TaskID,
			}
		}
		logits, out, err := p.forward(batch)
		if err != nil {
			return err
		}
		columns := logits.Shape()[1]
		values := models.Values(logits)
		for i := range part {
			rows := values[i*columns : (i+1)*columns]
			if p.Task != models.SeqCls {
				// The rows of virtual tokens belong to no text.
				span := out.Spans[i]
				rows = values[(span.Start+span.Prompt)*columns : span.End*columns]
			}
			if slices.ContainsFunc(rows, notFinite) {
				return &InputError{Input: from + i, Err: ErrNotFinite}
			}
			each(from+i, encodings[i], rows, columns)
		}
		pool.Reset()
	}
	return nil
}

// encoded is an input as a model takes it.
type encoded struct {
	tokenize.Encoding
	virtual, reads []int // of a template: see models.Sequence
}

// giveBack makes a pool ready for the next answer.
func (b *Base) giveBack(pool *models.Pool) {
	pool.Reset()
	b.pools.Put(pool)
}

func notFinite(score float32) bool {
	return math.IsNaN(float64(score)) || math.IsInf(float64(score), 0)
}

func (p *Predictor) want(task models.Task) error {
	if p.Task != task {
		return fmt.Errorf("%w: the adapter is for %s, want one for %s", ErrTask, p.Task, task)
	}
	return p.base.tokenizerErr
}
