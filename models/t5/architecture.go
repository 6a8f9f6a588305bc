package t5

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is T5's entry in the table of models/auto, for T5 1.1 and FLAN-T5 too.
var Architecture = architecture("T5")

// MT5 is the entry of mT5 (Xue et al. 2021, arXiv 2010.11934).
var MT5 = architecture("MT5")

func architecture(class string) models.Architecture {
	return models.Architecture{
		Prefix:   "transformer.",
		Prefixes: map[models.Task]string{models.Seq2SeqLM: "", models.QuestionAns: ""},
		Tasks: map[string]models.Task{
			class + "ForConditionalGeneration":  models.Seq2SeqLM,
			class + "ForSequenceClassification": models.SeqCls,
			class + "ForTokenClassification":    models.TokenCls,
			class + "ForQuestionAnswering":      models.QuestionAns,
			class + "Model":                     models.FeatureExtraction,
		},
		New: func(config hfio.ModelConfig, w *layer.Weights) (models.HeadedBackbone, error) {
			m, err := New(config, w)
			if err != nil {
				return nil, err
			}
			return m, nil
		},
	}
}
