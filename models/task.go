package models

import (
	"math/rand/v2"

	"github.com/gopeft/gopeft/hfio"
)

// Task is what a model is used for, in PEFT's words where it has one.
type Task string

// The tasks.
const (
	SeqCls            = Task(hfio.SeqCls)
	TokenCls          = Task(hfio.TokenCls)
	QuestionAns       = Task(hfio.QuestionAns)
	FeatureExtraction = Task(hfio.FeatureExtraction)
	CausalLM          = Task(hfio.CausalLM)
	Seq2SeqLM         = Task(hfio.Seq2SeqLM)
	// MaskedLM is a base model's own task. PEFT has no adapters for it.
	MaskedLM Task = "MASKED_LM"
)

// The problem types of SEQ_CLS, in transformers' words. With none the loss goes by
// the labels, as in transformers.
const (
	Regression  = "regression"
	SingleLabel = "single_label_classification"
	MultiLabel  = "multi_label_classification"
)

// HeadSpec says which head a model shall have.
type HeadSpec struct {
	Task   Task
	Labels []string // names of the scores; nil: those of config.json
	// ProblemType of SEQ_CLS; "": that of config.json.
	ProblemType string
	// Rand draws the weights of a head that the checkpoint does not hold. Without it
	// such a head is an error.
	Rand *rand.Rand
}
