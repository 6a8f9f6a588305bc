package predict

import (
	"context"
	"fmt"
	"strings"

	"github.com/gopeft/gopeft/generate"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// Prompt asks an adapter, or a base alone, to go on from a text, or to answer it.
type Prompt struct {
	Predictor *Predictor // of CAUSAL_LM or SEQ_2_SEQ_LM
	Text      string     // behind which Predictor.Separator comes
	// NoSpecialTokens: the text is whole, with its special tokens, as what a chat template made.
	NoSpecialTokens bool
	generate.Config
	// OnText is called with each piece of the text of an answer as it is made, in whole
	// characters; nil: nobody wants them. A beam search makes its answers at the end.
	OnText func(answer int, text string)
}

// Generation is one answer to a Prompt.
type Generation struct {
	Text   string          `json:"text"` // without special tokens and without the stop string that ended it
	Tokens int             `json:"tokens"`
	Score  float64         `json:"score,omitempty"` // of a beam search
	Finish generate.Finish `json:"finish_reason"`
}

// GenerationConfig returns the base's own settings, see [generate.ReadConfig].
func (b *Base) GenerationConfig() (generate.Config, error) {
	return generate.ReadConfig(b.files, b.model.Config())
}

// Generate answers prompts of one task, whatever their adapters, together: each with
// Config.NumReturnSequences answers, of a beam search the best first.
func (b *Base) Generate(ctx context.Context, prompts []Prompt) ([][]Generation, error) {
	if len(prompts) == 0 {
		return nil, nil
	}
	if b.tokenizerErr != nil {
		return nil, b.tokenizerErr
	}
	g, err := b.generator(prompts[0].Predictor.Task)
	if err != nil {
		return nil, err
	}
	requests := make([]generate.Request, len(prompts))
	streams := make([]*textStream, len(prompts))
	for i, p := range prompts {
		if err := p.Predictor.want(prompts[0].Predictor.Task); err != nil {
			return nil, &InputError{Input: i, Err: err}
		}
		if requests[i], err = b.request(p); err != nil {
			return nil, &InputError{Input: i, Err: err}
		}
		streams[i] = newTextStream(b.tokenizer, p)
		requests[i].OnToken = streams[i].add
	}
	answers, err := g.Run(ctx, requests)
	if err != nil {
		return nil, err
	}
	generations := make([][]Generation, len(prompts))
	for i, list := range answers {
		for number, a := range list {
			made, err := b.generation(a, prompts[i].StopStrings)
			if err != nil {
				return nil, &InputError{Input: i, Err: err}
			}
			streams[i].end(number, made.Text)
			generations[i] = append(generations[i], made)
		}
	}
	return generations, nil
}

func (b *Base) request(p Prompt) (generate.Request, error) {
	text := p.Text
	if !p.NoSpecialTokens {
		text += p.Predictor.Separator
	}
	encoding, err := b.tokenizer.Encode(text, &tokenize.Options{NoSpecialTokens: p.NoSpecialTokens})
	return generate.Request{IDs: encoding.IDs, Adapter: p.Predictor.adapter, TaskID: p.Predictor.TaskID, Config: p.Config}, err
}

func (b *Base) generation(a generate.Answer, stops []string) (Generation, error) {
	text, err := b.tokenizer.Decode(a.IDs, true)
	if a.Finish == generate.FinishString {
		text = beforeStop(text, stops)
	}
	return Generation{Text: text, Tokens: len(a.IDs), Score: a.Score, Finish: a.Finish}, err
}

// beforeStop cuts a text before the first stop string in it.
func beforeStop(text string, stops []string) string {
	end := len(text)
	for _, stop := range stops {
		if at := strings.Index(text, stop); at >= 0 {
			end = min(end, at)
		}
	}
	return text[:end]
}

// text is a stream as a generator takes it.
type text struct{ *tokenize.Stream }

func (t text) Clone() generate.Text { return text{t.Stream.Clone()} }

// generator returns the generator of a task, which all prompts share.
func (b *Base) generator(task models.Task) (*generate.Generator, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if g := b.generators[task]; g != nil {
		return g, nil
	}
	// Before the head is sought: that of an adapter's task need not be in the base.
	if task != models.CausalLM && task != models.Seq2SeqLM {
		return nil, fmt.Errorf("%w: found %s for %s, want a model for %s or %s", generate.ErrNoDecoder, b.Shape().ModelType, task, models.CausalLM, models.Seq2SeqLM)
	}
	model, err := b.model.Model(models.HeadSpec{Task: task})
	if err != nil {
		return nil, err
	}
	g, err := generate.New(model)
	if err != nil {
		return nil, err
	}
	g.Text = func() generate.Text { return text{b.tokenizer.Stream(false)} }
	b.generators[task] = g
	return g, nil
}
