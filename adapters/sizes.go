package adapters

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// fillSizes returns the config with every size that it leaves open taken from the
// base, as PEFT does. Only one thing differs: where the word embeddings are
// narrower than the model, rows before them get the embeddings' width and not
// hidden_size, with which PEFT's own forward fails.
//
// A prompt in the cache always takes its width and its heads from a base that
// groups keys and values, whatever the config says: so does PEFT.
// Source: peft 0.21.2, utils/other.py, _prepare_prompt_learning_config, and
// peft_model.py, _setup_prompt_encoder.
func fillSizes(cfg hfio.AdapterConfig, base models.Shape, m method) hfio.AdapterConfig {
	if m.delta {
		return cfg
	}
	fill(&cfg.NumLayers, base.Layers)
	fill(&cfg.NumAttentionHeads, base.Heads)
	if m.cached {
		fill(&cfg.TokenDim, base.Hidden)
	} else {
		fill(&cfg.TokenDim, inputWidth(base))
	}
	fill(&cfg.NumTransformerSubmodules, submodules(cfg.TaskType))
	if m.cached && grouped(base) {
		cfg.TokenDim, cfg.NumAttentionHeads = base.KVHeads*base.HeadDim, base.KVHeads
	}
	fill(&cfg.EncoderHiddenSize, cfg.TokenDim)
	return cfg
}

func fill(size *int, value int) {
	if *size == 0 {
		*size = value
	}
}

// submodules counts the stacks of a model: an encoder and a decoder, or one.
func submodules(task hfio.TaskType) int {
	if task == hfio.Seq2SeqLM {
		return 2
	}
	return 1
}

// grouped tells whether the keys of a layer are not as wide as the model: several heads share
// them, or heads have a size of their own.
func grouped(base models.Shape) bool {
	return base.KVHeads > 0 && (base.KVHeads != base.Heads || base.HeadDim > 0 && base.KVHeads*base.HeadDim != base.Hidden)
}

// inputWidth is the width of a word embedding.
func inputWidth(base models.Shape) int {
	if base.Embedding > 0 {
		return base.Embedding
	}
	return base.Hidden
}

// cacheWidth is the width of one layer's keys, heads side by side.
func cacheWidth(base models.Shape) int {
	switch {
	case base.KVHeads > 0 && base.HeadDim > 0:
		return base.KVHeads * base.HeadDim
	case base.HeadDim > 0:
		return base.Heads * base.HeadDim
	}
	return base.Hidden
}

// cacheHeads counts the heads of one layer's keys.
func cacheHeads(base models.Shape) int {
	switch {
	case base.DecoderHeads > 0:
		return base.DecoderHeads
	case base.KVHeads > 0:
		return base.KVHeads
	}
	return base.Heads
}
