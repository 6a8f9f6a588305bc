package adapters

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Frozen is a PeftModel as it stood when [PeftModel.Freeze] was called: a value that
// never changes, safe for concurrent use.
type Frozen struct {
	Base   *models.Model
	Config hfio.AdapterConfig
	Info   Info

	prompts map[int]*models.Prompt // by task, without gradients
	head    models.Head            // nil: the features are the answer
}

// Freeze computes the prompt, without dropout, and copies the head. An adapter that
// is as it was read takes the prompt that the file holds.
func (m *PeftModel) Freeze() (_ *Frozen, err error) {
	defer models.Guard(&err)
	f := &Frozen{Base: m.Base, Config: m.Config, Info: m.Info}
	if m.Head != nil {
		f.head = m.Head.Clone()
		for _, p := range f.head.Params() {
			p.Param.SetRequiresGrad(false)
		}
	}
	adapter := m.Adapter
	if m.unchangedPrompt() {
		if adapter, err = m.storedAdapter(); err != nil {
			return nil, err
		}
	}
	tasks := make([]int, tasksOf(m.Config))
	for task := range tasks {
		tasks[task] = task
	}
	if f.prompts, err = promptsOf(adapter, tasks, nil, nil); err != nil {
		return nil, err
	}
	for task, prompt := range f.prompts {
		f.prompts[task] = frozenPrompt(prompt)
	}
	return f, nil
}

func frozenPrompt(p *models.Prompt) *models.Prompt {
	copied := &models.Prompt{}
	if p.Input != nil {
		copied.Input = frozen(p.Input)
	}
	if p.DecoderInput != nil {
		copied.DecoderInput = frozen(p.DecoderInput)
	}
	for _, kv := range p.Past {
		copied.Past = append(copied.Past, models.KV{Keys: frozen(kv.Keys), Values: frozen(kv.Values)})
	}
	for name, d := range p.Deltas {
		if copied.Deltas == nil {
			copied.Deltas = map[string]layer.Delta{}
		}
		for _, of := range []*mat.Tensor{&d.A, &d.B, &d.Shift, &d.Bias} {
			if *of != nil {
				*of = frozen(*of)
			}
		}
		if d.Magnitude != nil {
			d.Magnitude = &layer.Magnitude{Values: frozen(d.Magnitude.Values)}
		}
		copied.Deltas[name] = d
	}
	return copied
}

// Prompt is what Forward puts before a sequence of a task, 0 where there is one only;
// nil: there is no such task. A caller that runs the base itself may give it to any
// sequence of a batch.
func (f *Frozen) Prompt(taskID int) *models.Prompt { return f.prompts[taskID] }

// Forward answers as [PeftModel.Forward] does. It ignores the batch's dropout.
func (f *Frozen) Forward(batch models.Batch) (logits mat.Tensor, out models.Output, err error) {
	defer models.Guard(&err)
	batch.Dropout = nil
	if _, err := taskIDs(batch, f.Config); err != nil {
		return nil, out, err
	}
	out, err = f.Base.Backbone.Forward(prepare(batch, f.Config.TaskType, f.prompts).For(f.head))
	if err != nil {
		return nil, out, err
	}
	return answer(f.head, out, nil)
}

// Request is a sequence and the adapter that answers it.
type Request struct {
	Sequence models.Sequence
	Adapter  *Frozen
}

// Answer is what one adapter says to its sequences of a mixed batch.
type Answer struct {
	Adapter  *Frozen
	Requests []int         // the indices of its requests
	Logits   mat.Tensor    // of these alone; nil: features
	Output   models.Output // of these alone
}

// ForwardMixed runs sequences of several adapters over one base as one batch, each
// with its own prompt, and gives every adapter's head the rows of its own requests.
// The answers come in the order in which the adapters first appear.
func ForwardMixed(base *models.Model, requests []Request) (_ []Answer, err error) {
	defer models.Guard(&err)
	batch := models.Batch{Sequences: make([]models.Sequence, len(requests))}
	var answers []Answer
	for i, r := range requests {
		one := models.Batch{Sequences: []models.Sequence{r.Sequence}}
		if _, err := taskIDs(one, r.Adapter.Config); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
		batch.Sequences[i] = prepare(one, r.Adapter.Config.TaskType, r.Adapter.prompts).Sequences[0]
		at := slices.IndexFunc(answers, func(a Answer) bool { return a.Adapter == r.Adapter })
		if at < 0 {
			at = len(answers)
			answers = append(answers, Answer{Adapter: r.Adapter})
		}
		answers[at].Requests = append(answers[at].Requests, i)
	}
	out, err := base.Backbone.Forward(batch)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		a := &answers[i]
		a.Logits, a.Output, err = answer(a.Adapter.head, take(out, a.Requests), nil)
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// take returns the rows of some sequences.
func take(out models.Output, sequences []int) models.Output {
	taken := models.Output{}
	var rows []int
	for _, i := range sequences {
		span := out.Spans[i]
		start := len(rows)
		for row := span.Start; row < span.End; row++ {
			rows = append(rows, row)
		}
		span.Start, span.End = start, len(rows)
		taken.Spans = append(taken.Spans, span)
		if out.Prompts != nil {
			taken.Prompts = append(taken.Prompts, out.Prompts[i])
		}
	}
	taken.Hidden = kernel.Gather(out.Hidden, rows)
	return taken
}
