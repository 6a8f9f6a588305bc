package bert

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is BERT's entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix: "bert.",
	Renamed: [][2]string{ // checkpoints converted from TensorFlow, as transformers renames them
		{"LayerNorm.weight", "LayerNorm.gamma"},
		{"LayerNorm.bias", "LayerNorm.beta"},
	},
	Tasks: map[string]models.Task{
		"BertForSequenceClassification": models.SeqCls,
		"BertForTokenClassification":    models.TokenCls,
		"BertForQuestionAnswering":      models.QuestionAns,
		"BertForMaskedLM":               models.MaskedLM,
		"BertForPreTraining":            models.MaskedLM,
		"BertModel":                     models.FeatureExtraction,
	},
	New: func(config hfio.ModelConfig, w *layer.Weights) (models.HeadedBackbone, error) {
		m, err := New(config, w)
		if err != nil {
			return nil, err
		}
		return m, nil
	},
}
