package adapters

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// PeftModel is a base model with one adapter on it. Many may share a base; none of
// them changes it.
//
// Forward only reads, so it may be called from several goroutines while nobody
// trains. To answer requests use [PeftModel.Freeze], which computes the prompt
// once and keeps no gradients.
type PeftModel struct {
	nn.Module
	Base    *models.Model
	Adapter Adapter
	Head    models.Head // the adapter's own; nil: the features are the answer
	// Config is written to adapter_config.json: as it was read, or as PEFT makes it.
	Config hfio.AdapterConfig
	Info   Info

	read *original // what the files held; nil for an adapter made by New
}

// Forward runs a batch with the prompt before every sequence that brings none of its
// own, and the adapter's head on top. The prompt is computed once, and for each task
// of the batch where there are several. The answer is
// that of PEFT's model: token types have no effect where PEFT drops them, virtual
// tokens' rows come first, and without a task type the prompt is not used. The hidden
// states are those that the head reads.
func (m *PeftModel) Forward(batch models.Batch) (logits mat.Tensor, out models.Output, err error) {
	defer models.Guard(&err)
	tasks, err := taskIDs(batch, m.Config)
	if err != nil {
		return nil, models.Output{}, err
	}
	prompts, err := promptsOf(m.Adapter, tasks, batch.Dropout, batch.Pool)
	if err != nil {
		return nil, models.Output{}, err
	}
	out, err = m.Base.Backbone.Forward(prepare(batch, m.Config.TaskType, prompts).For(m.Head))
	if err != nil {
		return nil, out, err
	}
	return answer(m.Head, out, batch.Dropout)
}

// InputRows is how many rows the prompt puts before the tokens of a sequence.
func (m *PeftModel) InputRows() int {
	method, err := methodOf(m.Config.PeftType)
	if err != nil || method.cached || method.delta || m.Config.TaskType == "" {
		return 0
	}
	return m.Config.NumVirtualTokens
}

// prepare gives the sequences what PEFT gives them.
// Source: peft 0.21.2, peft_model.py: PeftModelForQuestionAnswering takes
// token_type_ids and passes them on nowhere, PeftModelForFeatureExtraction removes
// them with a prompt, and a PeftModel of no task uses no prompt.
func prepare(batch models.Batch, task hfio.TaskType, prompts map[int]*models.Prompt) models.Batch {
	isDelta := prompts[0] != nil && len(prompts[0].Deltas) > 0
	if task == "" && !isDelta {
		return batch
	}
	batch.Sequences = slices.Clone(batch.Sequences)
	for i := range batch.Sequences {
		s := &batch.Sequences[i]
		if s.Prompt == nil {
			s.Prompt = prompts[s.TaskID]
		}
		if task == hfio.QuestionAns || task == hfio.FeatureExtraction && !isDelta {
			s.TypeIDs = nil
		}
	}
	return batch
}

func answer(head models.Head, out models.Output, dropout *layer.Dropout) (mat.Tensor, models.Output, error) {
	if head == nil {
		return nil, out, nil
	}
	logits, err := head.Forward(out, dropout)
	return logits, out, err
}

// Trained lists everything that training changes, always in the same order:
// prompt_encoder.… of the method, or the factors of LoRA, then base_model.… of the head. It is empty if the
// adapter is not Continuable.
func (m *PeftModel) Trained() []models.NamedParam {
	if !m.Adapter.Continuable() {
		return nil
	}
	var params []models.NamedParam
	module := modulePrefix
	if isDelta(m.Config.PeftType) {
		module = ""
	}
	for _, p := range m.Adapter.Trained() {
		params = append(params, models.NamedParam{Name: module + p.Name, Param: p.Param})
	}
	for _, p := range headParams(m.Head) {
		if m.baseHead(p) {
			continue
		}
		params = append(params, models.NamedParam{Name: headPrefixOf(m.Config.PeftType) + p.Name, Param: p.Param})
	}
	return params
}
