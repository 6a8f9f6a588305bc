package predict

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/models"
)

// TokenInput is one unpadded sequence of token ids, as transformers' models take it.
type TokenInput struct {
	InputIDs     []int `json:"input_ids"`
	TokenTypeIDs []int `json:"token_type_ids"`
	TaskIDs      *int  `json:"task_ids"` // of an adapter of several tasks; default: Predictor.TaskID
	// DecoderInputIDs are read by the decoder of an encoder-decoder; default: of SEQ_2_SEQ_LM
	// the labels shifted to the right, or the input_ids.
	DecoderInputIDs []int `json:"decoder_input_ids"`
	// Labels is a class, the values of a regression or of several labels, a class for
	// every row (of a language model, for every token that it is to write), or the first and the last row
	// of an answer, which StartPositions and EndPositions give as well.
	Labels         json.RawMessage `json:"labels"`
	StartPositions *int            `json:"start_positions"`
	EndPositions   *int            `json:"end_positions"`
}

// ModelOutput is what transformers' or PEFT's model returns for a batch of that one
// sequence, under its names and in its shapes.
type ModelOutput struct {
	Loss            *float32      `json:"loss,omitempty"`
	Logits          any           `json:"logits,omitempty"`            // [1, C] or [1, R, C]
	StartLogits     [][]float32   `json:"start_logits,omitempty"`      // [1, R]
	EndLogits       [][]float32   `json:"end_logits,omitempty"`        // [1, R]
	LastHiddenState [][][]float32 `json:"last_hidden_state,omitempty"` // [1, R, d]
}

// Forward runs one sequence in evaluation. As in PEFT, labels and positions are not
// shifted for virtual tokens, but for those of a causal language model.
func (p *Predictor) Forward(in TokenInput) (*ModelOutput, error) {
	if in.InputIDs == nil {
		return nil, errors.New(`field "input_ids": missing`)
	}
	if in.DecoderInputIDs != nil && p.shiftRight == nil {
		return nil, fmt.Errorf("field \"decoder_input_ids\": %w: %s has no decoder", models.ErrUnsupportedTask, p.Task)
	}
	sequence, err := p.sequence(in)
	if err != nil {
		return nil, err
	}
	pool := p.base.pools.Get().(*models.Pool)
	defer p.base.giveBack(pool)
	logits, out, err := p.forward(models.Batch{Sequences: []models.Sequence{sequence}, Pool: pool})
	if err != nil {
		return nil, err
	}
	if logits == nil {
		return &ModelOutput{LastHiddenState: [][][]float32{rowsOf(slices.Clone(models.Values(out.Hidden)), out.Hidden.Shape()[1])}}, nil
	}
	rows := rowsOf(slices.Clone(models.Values(logits)), logits.Shape()[1])
	output := &ModelOutput{}
	switch p.Task {
	case models.SeqCls:
		output.Logits = rows
	case models.QuestionAns:
		output.StartLogits, output.EndLogits = [][]float32{column(rows, 0)}, [][]float32{column(rows, 1)}
	default:
		output.Logits = [][][]float32{rows}
	}
	labels, ok, err := in.labels(p.Task, p.ProblemType, len(rows[0]))
	if err != nil || !ok {
		return output, err
	}
	loss, err := p.loss(logits, out, labels)
	if err != nil {
		return nil, err
	}
	output.Loss = &loss
	return output, nil
}

// sequence returns the input as the model takes it.
func (p *Predictor) sequence(in TokenInput) (models.Sequence, error) {
	s := models.Sequence{IDs: in.InputIDs, TypeIDs: in.TokenTypeIDs, TaskID: p.TaskID, DecoderIDs: in.DecoderInputIDs}
	if in.TaskIDs != nil {
		s.TaskID = *in.TaskIDs
	}
	if p.Task != models.Seq2SeqLM || s.DecoderIDs != nil {
		return s, nil
	}
	labels, ok, err := in.labels(p.Task, "", 0)
	if err == nil && ok {
		s.DecoderIDs = p.shiftRight(labels.Tokens[0])
	}
	return s, err
}

// loss returns that of a sequence's scores.
func (p *Predictor) loss(logits mat.Tensor, out models.Output, labels models.Labels) (float32, error) {
	switch p.Task {
	case models.CausalLM:
		labels.Tokens = models.ShiftLabels(out, labels.Tokens)
	case models.Seq2SeqLM:
		labels.Tokens[0] = append(slices.Repeat([]int{models.Ignored}, out.Spans[0].Prompt), labels.Tokens[0]...)
	}
	loss, err := models.Loss(p.Task, p.ProblemType, logits, out, labels)
	if err != nil {
		return 0, err
	}
	return models.Values(loss)[0], nil
}

func rowsOf(values []float32, columns int) [][]float32 {
	rows := make([][]float32, 0, len(values)/columns)
	for ; len(values) > 0; values = values[columns:] {
		rows = append(rows, values[:columns])
	}
	return rows
}

func column(rows [][]float32, at int) []float32 {
	values := make([]float32, len(rows))
	for i, row := range rows {
		values[i] = row[at]
	}
	return values
}

// labels reads the labels of a task; ok is false where there are none.
func (in TokenInput) labels(task models.Task, problemType string, scores int) (_ models.Labels, ok bool, err error) {
	if task == models.QuestionAns && in.StartPositions != nil && in.EndPositions != nil {
		return models.Labels{Starts: []int{*in.StartPositions}, Ends: []int{*in.EndPositions}}, true, nil
	}
	if len(in.Labels) == 0 || string(in.Labels) == "null" {
		return models.Labels{}, false, nil
	}
	if task == models.QuestionAns {
		var span [2]int
		err := decodeLabels(in.Labels, &span, "the first and the last row of the answer")
		return models.Labels{Starts: span[:1], Ends: span[1:]}, true, err
	}
	if task != models.SeqCls {
		var classes []int
		err := decodeLabels(in.Labels, &classes, "a class for every row")
		return models.Labels{Tokens: [][]int{classes}}, true, err
	}
	var class int
	if problemType != models.Regression && problemType != models.MultiLabel && scores > 1 &&
		json.Unmarshal(in.Labels, &class) == nil {
		return models.Labels{Classes: []int{class}}, true, nil
	}
	var value float32
	if json.Unmarshal(in.Labels, &value) == nil {
		return models.Labels{Values: [][]float32{{value}}}, true, nil
	}
	var values []float32
	err = decodeLabels(in.Labels, &values, "a class, a value or a list of values")
	return models.Labels{Values: [][]float32{values}}, true, err
}

func decodeLabels(raw json.RawMessage, into any, want string) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("field \"labels\": found %s, want %s", raw, want)
	}
	return nil
}
