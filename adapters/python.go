package adapters

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// pythonFindings says what of an adapter works here and not in Python PEFT.
// Source: peft 0.21.2, utils/other.py, _prepare_prompt_learning_config, and
// peft_model.py, PeftModelFor*.forward.
func pythonFindings(cfg hfio.AdapterConfig, base models.Shape, m method) []Finding {
	if m.cached && base.PEFT.NoPast {
		text := "Python PEFT refuses it: transformers' %s takes no past_key_values"
		if cfg.TaskType == hfio.FeatureExtraction {
			text = "Python PEFT fails with it, or leaves it out silently: transformers' %s takes no past_key_values"
		}
		return []Finding{problem("peft_type", string(cfg.PeftType)+": "+text, base.ModelType)}
	}
	found := decoderIDs(cfg, base, m)
	open := func(field string, size int) {
		if base.PEFT.NoSizes && size == 0 {
			found = append(found, problem(field, "null: Python PEFT does not find it in the config of a %s, and fails", base.ModelType))
		}
	}
	open("token_dim", cfg.TokenDim)
	open("num_attention_heads", cfg.NumAttentionHeads)
	if !m.cached && cfg.TokenDim == 0 && !base.PEFT.NoSizes && inputWidth(base) != base.Hidden {
		found = append(found, problem("token_dim", "null: Python PEFT takes hidden_size %d for it, but word embeddings are %d wide, and fails",
			base.Hidden, inputWidth(base)))
	}
	return found
}
