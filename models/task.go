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

// HeadModules are the heads that PEFT does not train by itself: of BART and T5 for SEQ_CLS, and
// of ModernBERT for QUESTION_ANS.
var HeadModules = []string{"classification_head", "classifier"}

// HeadSpec says which head a model shall have.
type HeadSpec struct {
	Task   Task
	Labels []string // names of the scores; nil: those of config.json
	// ProblemType of SEQ_CLS; "": that of config.json.
	ProblemType string
	// ModulesToSave names modules that an adapter trains beside those that PEFT always does,
	// as its config has them: a head of another name than classifier, score or qa_outputs is
	// frozen unless it is among them, or drawn anew.
	ModulesToSave []string
	// Rand draws the weights of a head that the checkpoint does not hold. Without it
	// such a head is an error.
	Rand *rand.Rand
}
