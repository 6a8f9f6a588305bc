// Package generate makes text with decoders and encoder-decoders: greedy, drawn, or by
// beam search, many requests at a time, each with its own adapter and settings. Start at
// [New], then [Generator.Run]. It works on token ids; package predict has text.
//
// The answers are transformers' where nothing is drawn. Drawn tokens have its
// distribution, and depend on nothing but the request and its seed.
package generate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"weak"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/models"
)

var (
	// ErrNoDecoder: the model cannot go on from what it has read.
	ErrNoDecoder = errors.New("the model makes no text")
	// ErrNotFinite: the scores of the next token hold NaN.
	ErrNotFinite = errors.New("the scores of the next token hold NaN or +Inf")
	errNoToken   = errors.New("the settings leave no token to go on with")
)

// Finish is why an answer ended.
type Finish string

// The reasons, in the words of OpenAI's API.
const (
	FinishEOS    Finish = "stop"        // by a token of Config.EOS
	FinishString Finish = "stop_string" // by one of Config.StopStrings
	FinishLength Finish = "length"      // by Config.MaxNewTokens, or the model has no more positions
)

// Request asks for answers to one prompt.
type Request struct {
	// IDs are the prompt: what a decoder goes on from, or what an encoder reads.
	IDs []int
	// DecoderIDs are what the answer of an encoder-decoder is written behind; nil:
	// Config.DecoderStart.
	DecoderIDs []int
	Adapter    *adapters.Frozen // over the generator's base; nil: the base alone
	TaskID     int              // of an adapter of several tasks
	Config
	// OnToken is called with each token as it is made, of the answer with this number. A
	// beam search calls it not: it makes its answers at the end.
	OnToken func(answer, id int)
}

// Answer is one answer: its tokens without the prompt, with the token that ended it.
type Answer struct {
	IDs    []int
	Score  float64 // of a beam search: by which answers are compared
	Finish Finish
}

// Generator makes text with one base and any adapters over it. What requests with an
// adapter begin with it keeps for as long as there is the adapter, which does not keep
// the generator. It is safe for concurrent use.
type Generator struct {
	// Text begins the text of an answer, special tokens included. It is needed for
	// Config.StopStrings alone.
	Text func() Text
	// MaxRows is how many answers are under way at once, unless one request wants more; 0: 64.
	// Others wait for their turn.
	MaxRows int

	model   *models.Model
	decoder models.Decoder
	lock    sync.Mutex
	begun   map[beginning]*models.Cache
}

// Text makes text of tokens as they come.
type Text interface {
	// Add returns the text that is decided by a further token.
	Add(id int) string
	// Flush returns the rest of the text, which ends here.
	Flush() string
	// Clone returns a Text that goes on from here by itself.
	Clone() Text
}

// beginning is what all requests with one adapter begin with.
type beginning struct {
	adapter weak.Pointer[adapters.Frozen]
	task    int
}

// New returns a generator over a model with a language model's head.
func New(model *models.Model) (*Generator, error) {
	decoder, ok := model.Backbone.(models.Decoder)
	if !ok || model.Head == nil || model.Task != models.CausalLM && model.Task != models.Seq2SeqLM {
		return nil, fmt.Errorf("%w: found %s for %s, want a model for %s or %s", ErrNoDecoder, model.Config.ModelType, model.Task, models.CausalLM, models.Seq2SeqLM)
	}
	return &Generator{model: model, decoder: decoder, begun: map[beginning]*models.Cache{}}, nil
}

// InputError is what is wrong with one of several requests, by its place in them.
type InputError struct {
	Input int
	Err   error
}

func (e *InputError) Error() string { return fmt.Sprintf("input %d: %v", e.Input, e.Err) }
func (e *InputError) Unwrap() error { return e.Err }

// Run answers requests, each with Config.NumReturnSequences answers, of a beam search the
// best first, and fewer where it finds no more.
func (g *Generator) Run(ctx context.Context, requests []Request) (_ [][]Answer, err error) {
	defer models.Guard(&err)
	searches := make([]search, len(requests))
	var found refusals
	for i, r := range requests {
		var err error
		if searches[i], err = g.begin(r); err != nil {
			found.add(&InputError{i, err})
		}
	}
	if err := errors.Join(found...); err != nil {
		return nil, err
	}
	if err := g.loop(ctx, searches); err != nil {
		return nil, err
	}
	answers := make([][]Answer, len(searches))
	for i, s := range searches {
		answers[i] = s.answers()
	}
	return answers, nil
}

// refusals are what is wrong with requests. Too many answers, which many requests may ask for with the
// same settings, are said once, of the request that has room for the fewest.
type refusals []error

func (f *refusals) add(e *InputError) {
	var wide *tooWide
	if errors.As(e.Err, &wide) {
		for i, other := range *f {
			var before *tooWide
			if errors.As(other, &before) && before.Field == wide.Field && before.Value == wide.Value {
				if wide.most < before.most {
					(*f)[i] = e
				}
				return
			}
		}
	}
	*f = append(*f, e)
}

// loop takes all searches token by token to their ends. A search begins when there is
// room for its rows.
func (g *Generator) loop(ctx context.Context, waiting []search) error {
	pool := models.NewPool()
	var open []search
	for len(open)+len(waiting) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		for len(waiting) > 0 && (len(open) == 0 || wide(open)+waiting[0].width() <= g.maxRows()) {
			open, waiting = append(open, waiting[0]), waiting[1:]
		}
		var rows []*row
		var counts []int
		for _, s := range open {
			counts = append(counts, len(s.rows()))
			rows = append(rows, s.rows()...)
		}
		scores, err := g.scores(rows, pool)
		if err != nil {
			return err
		}
		var still []search
		for i, s := range open {
			if err := s.advance(scores[:counts[i]]); err != nil {
				return err
			}
			scores = scores[counts[i]:]
			if len(s.rows()) > 0 {
				still = append(still, s)
			}
		}
		open = still
		pool.Reset()
	}
	return nil
}

// wide is how many rows searches may have.
func wide(searches []search) int {
	n := 0
	for _, s := range searches {
		n += s.width()
	}
	return n
}

func (g *Generator) maxRows() int {
	if g.MaxRows > 0 {
		return g.MaxRows
	}
	return 64
}

// search is the way from a prompt to its answers.
type search interface {
	// rows are the answers under way; none: the search is over.
	rows() []*row
	// width is how many rows there may be.
	width() int
	// advance takes the scores of the next token of each row, which it may change.
	advance(scores [][]float32) error
	answers() []Answer
}

// row is a sequence whose first tokens are in a cache.
type row struct {
	ids    []int          // what was given and what was made
	source []int          // what an encoder has yet to read
	fed    int            // how many of the ids are in the cache
	begin  *models.Cache  // what the cache begins with, which others share
	cache  *models.Cache  // nil: the row has not begun
	prompt *models.Prompt // of the adapter; nil: none
	from   *row           // whose cache this one goes on from
	text   *stops         // of what was made; nil: there are no stop strings
	taken  bool           // the cache went on to another row
}

// inherit takes over the cache of the row that this one goes on from, or a copy where
// another has it already.
func (r *row) inherit() {
	from := r.from
	r.fed, r.prompt, r.from, r.cache = from.fed, from.prompt, nil, from.cache
	if from.taken {
		r.cache = from.cache.Clone()
	}
	from.taken = true
}

// switches tells whether the row grows over the length at which its cache is of no use.
// Source: transformers 5.23, modeling_phi3.py, prepare_inputs_for_generation.
func (r *row) switches(at int) bool {
	held := r.cache.Len()
	return at > 0 && held > 0 && held <= at && held+len(r.ids)-r.fed > at
}

// sequence is what is new of the row, whose last token's scores are wanted.
func (r *row) sequence(task models.Task) models.Sequence {
	next := r.ids[r.fed:]
	s := models.Sequence{IDs: next, Prompt: r.prompt, Reads: []int{len(next) - 1}}
	if task == models.Seq2SeqLM {
		s.IDs, s.DecoderIDs = r.source, next
	}
	return s
}

// request is what the searches have in common.
type request struct {
	Request
	start int // where the answer begins in the ids of a row
}

// random returns what decides the tokens of one answer.
func (r *request) random(answer int) *rand.Rand {
	return rand.New(rand.NewPCG(r.Seed, uint64(answer)))
}

// width is how many answers are followed at once.
func (r *request) width() int { return max(r.NumBeams, r.NumReturnSequences) }

// follow returns the row with one more token, and why its answer ends there, "" if it goes on.
func (r *request) follow(from *row, id int) (*row, Finish) {
	next := &row{ids: append(slices.Clip(from.ids), id), from: from}
	stopped := false
	if from.text != nil {
		next.text, stopped = from.text.add(id)
	}
	switch {
	case slices.Contains(r.EOS, id):
		return next, FinishEOS
	case stopped:
		return next, FinishString
	case len(next.ids)-r.start >= r.MaxNewTokens:
		return next, FinishLength
	}
	return next, ""
}

// stops looks for stop strings in the text of an answer.
type stops struct {
	strings []string
	text    Text
	end     string // of the text that is decided, as much as may begin a stop string
}

// add returns the text with one more token, and whether it holds a stop string, which the
// text before it did not.
func (s *stops) add(id int) (*stops, bool) {
	next := &stops{strings: s.strings, text: s.text.Clone()}
	decided := s.end + next.text.Add(id)
	all := decided + next.text.Clone().Flush()
	longest := 0
	for _, stop := range s.strings {
		longest = max(longest, len(stop))
	}
	next.end = decided[max(0, len(decided)-longest+1):]
	return next, slices.ContainsFunc(s.strings, func(stop string) bool { return strings.Contains(all, stop) })
}

// begin checks a request and makes its search.
func (g *Generator) begin(r Request) (search, error) {
	if err := errors.Join(r.Check(), g.check(r)); err != nil {
		return nil, err
	}
	vocab := g.decoder.Shape().Vocab
	r.EOS = slices.DeleteFunc(slices.Clone(r.EOS), func(id int) bool { return id < 0 || id >= vocab }) // no token that can come
	first := &row{ids: r.IDs}
	if g.model.Task == models.Seq2SeqLM {
		first.ids, first.source = r.DecoderIDs, r.IDs
		if first.ids == nil {
			first.ids = []int{r.DecoderStart}
		}
	}
	var err error
	if first.begin, first.prompt, err = g.beginning(r); err != nil {
		return nil, err
	}
	if first.source != nil {
		read := models.Batch{Sequences: []models.Sequence{{IDs: first.source, Prompt: first.prompt}}}.EncoderPart()
		if err := g.decoder.Shape().CheckLength(read.Sequences[0]); err != nil {
			return nil, err
		}
	}
	if positions := g.decoder.Shape().MaxPositions; positions > 0 {
		held := first.begin.Len() + len(first.ids)
		if first.prompt != nil && g.model.Task == models.Seq2SeqLM { // else they are in the cache
			held += (&models.Prompt{Past: first.prompt.Past}).Len()
		}
		if held > positions {
			return nil, fmt.Errorf("%w: %d tokens and virtual tokens, the model has %d positions", models.ErrTooLong, held, positions)
		}
		r.MaxNewTokens = min(r.MaxNewTokens, positions-held+1)
	}
	if len(r.StopStrings) > 0 {
		first.text = &stops{strings: r.StopStrings, text: g.Text()}
	}
	q := &request{Request: r, start: len(first.ids)}
	if err := g.checkWidth(q, first.begin.Len()+len(first.ids)+r.MaxNewTokens); err != nil {
		return nil, err
	}
	if r.NumBeams > 1 {
		return newBeamSearch(q, first), nil
	}
	return newDraws(q, first), nil
}

// beginning returns the cache that a request begins with, and its adapter's prompt. What
// an adapter puts before all sequences of a decoder is computed once.
func (g *Generator) beginning(r Request) (*models.Cache, *models.Prompt, error) {
	if r.Adapter == nil {
		return models.NewCache(g.decoder.Shape()), nil, nil
	}
	prompt := r.Adapter.Prompt(r.TaskID)
	if prompt == nil {
		return nil, nil, fmt.Errorf("%w: found %d", adapters.ErrTaskID, r.TaskID)
	}
	if r.Adapter.Config.TaskType == "" && len(prompt.Deltas) == 0 {
		prompt = &models.Prompt{} // without a task PEFT's model uses none
	}
	if g.model.Task == models.Seq2SeqLM { // PEFT's generate puts nothing before the decoder's tokens
		prompt = &models.Prompt{Input: prompt.Input, Past: prompt.Past, Deltas: prompt.Deltas}
		return models.NewCache(g.decoder.Shape()), prompt, nil
	}
	g.lock.Lock()
	defer g.lock.Unlock()
	key := beginning{weak.Make(r.Adapter), r.TaskID}
	if begun := g.begun[key]; begun != nil {
		return begun, prompt, nil
	}
	begun, err := models.Begin(g.decoder, prompt)
	if err != nil {
		return nil, nil, err
	}
	g.begun[key] = begun
	runtime.AddCleanup(r.Adapter, forget, keeping{weak.Make(g), key})
	return begun, prompt, nil
}

// keeping is a beginning that a generator keeps.
type keeping struct {
	generator weak.Pointer[Generator]
	key       beginning
}

func forget(k keeping) {
	g := k.generator.Value()
	if g == nil {
		return
	}
	g.lock.Lock()
	defer g.lock.Unlock()
	delete(g.begun, k.key)
}

// check reports what is wrong with a request's tokens.
func (g *Generator) check(r Request) error {
	var found []error
	ids := slices.Concat(r.IDs, r.DecoderIDs)
	special := []int{r.ForcedBOS, r.ForcedEOS}
	if g.model.Task == models.Seq2SeqLM {
		special = append(special, r.DecoderStart)
	}
	for _, id := range special {
		if id != None {
			ids = append(ids, id)
		}
	}
	if len(r.IDs) == 0 {
		found = append(found, fmt.Errorf("%w: found no token, want at least 1", models.ErrTokenID))
	}
	if g.model.Task == models.Seq2SeqLM && len(r.DecoderIDs) == 0 && r.DecoderStart == None {
		found = append(found, fmt.Errorf("%w: decoder_start_token_id is not known, want the token that answers begin with", ErrConfig))
	}
	if len(r.StopStrings) > 0 && g.Text == nil {
		found = append(found, fmt.Errorf("%w: stop_strings need a tokenizer", ErrConfig))
	}
	if r.Adapter != nil && r.Adapter.Base.Backbone != g.model.Backbone {
		found = append(found, fmt.Errorf("%w: the adapter is over another base", models.ErrPrompt))
	}
	return errors.Join(append(found, g.decoder.Shape().CheckIDs(ids))...)
}

// maxBytes bounds what the answers to one request may take in memory: a wrong number of them must
// not take all that there is. transformers has no bound.
const maxBytes = 4 << 30

// checkWidth reports more answers at once than there should be memory for, if they become so many
// tokens long. Those of several requests may be MaxRows at once, and so may those of one.
func (g *Generator) checkWidth(q *request, tokens int) error {
	field, value := "num_beams", q.NumBeams
	if q.NumBeams == 1 {
		field, value = "num_return_sequences", q.NumReturnSequences
	}
	most := sort.Search(value, func(n int) bool { return g.bytes(q, float64(n+1), float64(tokens)) > maxBytes })
	if most = max(most, g.maxRows()); value <= most {
		return nil
	}
	want := fmt.Sprintf("at most %d: more could take over %d GiB, for scores and %d keys and values each", most, maxBytes>>30, tokens)
	return &tooWide{ConfigError{field, value, want}, most}
}

// tooWide is a ConfigError: more answers at once than the most that there is room for.
type tooWide struct {
	ConfigError
	most int
}

func (e *tooWide) Unwrap() error { return &e.ConfigError }

// bytes is what answers take that are so many tokens long: scores, keys and values and, of a beam
// search, continuations and the keys and values of the beams that they go on from.
func (g *Generator) bytes(q *request, answers, tokens float64) float64 {
	shape := g.decoder.Shape()
	if shape.DecoderLayers > 0 {
		shape = shape.OfDecoder()
	}
	cache := tokens * float64(4*2*shape.Layers*shape.KVHeads*shape.HeadDim)
	each := float64(4*shape.Vocab) + cache
	if q.NumBeams > 1 {
		each += cache + continuationBytes*min(float64(q.continuations())*answers, float64(shape.Vocab))
	}
	return answers * each
}

// continuations is how many are looked at for each beam of a search.
func (r *request) continuations() int { return max(2, 1+len(r.EOS)) }

// scores runs what is new of the rows and returns the scores of the token after each.
func (g *Generator) scores(rows []*row, pool *models.Pool) ([][]float32, error) {
	batch := models.Batch{Sequences: make([]models.Sequence, len(rows)), Pool: pool}
	caches := make([]*models.Cache, len(rows))
	for i, r := range rows {
		if r.cache == nil {
			r.cache = r.begin.Clone()
		}
		if r.switches(g.decoder.Shape().Switch) {
			r.cache, r.fed = models.NewCache(g.decoder.Shape()), 0
		}
		batch.Sequences[i], caches[i] = r.sequence(g.model.Task), r.cache
	}
	out, err := g.decoder.Step(batch, caches)
	if err != nil {
		return nil, err
	}
	logits, err := g.model.Head.Forward(out, nil)
	if err != nil {
		return nil, err
	}
	values, vocab := models.Values(logits), logits.Shape()[1]
	scores := make([][]float32, len(rows))
	for i, r := range rows {
		r.fed, r.source = len(r.ids), nil
		scores[i] = values[i*vocab:][:vocab:vocab]
		if slices.ContainsFunc(scores[i], func(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 1) }) {
			return nil, ErrNotFinite
		}
	}
	return scores, nil
}
