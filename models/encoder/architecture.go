package encoder

import "github.com/gopeft/gopeft/models"

// Renamed are the names of checkpoints that were converted from TensorFlow, which
// transformers renames in every model.
// Source: transformers 5.23, conversion_mapping.py, "legacy".
var Renamed = [][2]string{
	{"LayerNorm.weight", "LayerNorm.gamma"},
	{"LayerNorm.bias", "LayerNorm.beta"},
}

// Tasks are those of the classes that transformers has for an encoder, whose names begin
// with the same word.
func Tasks(class string) map[string]models.Task {
	return map[string]models.Task{
		class + "ForSequenceClassification": models.SeqCls,
		class + "ForTokenClassification":    models.TokenCls,
		class + "ForQuestionAnswering":      models.QuestionAns,
		class + "ForMaskedLM":               models.MaskedLM,
		class + "Model":                     models.FeatureExtraction,
	}
}
