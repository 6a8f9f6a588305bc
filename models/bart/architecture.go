package bart

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is BART's entry in the table of models/auto.
var Architecture = architecture(map[string]models.Task{
	"BartForConditionalGeneration":  models.Seq2SeqLM,
	"BartForSequenceClassification": models.SeqCls,
	"BartForQuestionAnswering":      models.QuestionAns,
	"BartModel":                     models.FeatureExtraction,
})

// MBart is the entry of mBART (Liu et al. 2020, arXiv 2001.08210), which BARThez is too.
var MBart = architecture(map[string]models.Task{
	"MBartForConditionalGeneration":  models.Seq2SeqLM,
	"MBartForSequenceClassification": models.SeqCls,
	"MBartForQuestionAnswering":      models.QuestionAns,
	"MBartModel":                     models.FeatureExtraction,
})

// Pegasus is the entry of PEGASUS (Zhang et al. 2020, arXiv 1912.08777).
var Pegasus = architecture(map[string]models.Task{
	"PegasusForConditionalGeneration": models.Seq2SeqLM,
	"PegasusModel":                    models.FeatureExtraction,
})

func architecture(tasks map[string]models.Task) models.Architecture {
	return models.Architecture{
		Prefix: "model.",
		Tasks:  tasks,
		New: func(config hfio.ModelConfig, w *layer.Weights) (models.HeadedBackbone, error) {
			m, err := New(config, w)
			if err != nil {
				return nil, err
			}
			return m, nil
		},
	}
}
