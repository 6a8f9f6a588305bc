package adapters

import (
	"strconv"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// inputRows are those of a prompt's rows that stand before the word embeddings of a sequence:
// the first P. PEFT makes P more for the decoder of an encoder-decoder, and uses them in
// MULTITASK_PROMPT_TUNING alone.
// Source: peft 0.21.2, peft_model.py, PeftModelForSeq2SeqLM.forward.
func inputRows(rows mat.Tensor, cfg hfio.AdapterConfig) mat.Tensor {
	if kernel.Rows(rows) <= cfg.NumVirtualTokens {
		return rows
	}
	return kernel.Gather(rows, numbers(0, cfg.NumVirtualTokens))
}

// numbers are those from the first to the last but one.
func numbers(from, to int) []int {
	all := make([]int, to-from)
	for i := range all {
		all[i] = from + i
	}
	return all
}

// prefixPairs says which pair of keys and values of a prefix each layer of the base gets. In
// an encoder-decoder the decoder's layers get them, and not each its own: PEFT doubles the
// 2·L rows of keys and values, cuts them in groups of four, two of which it means for the
// attention to the encoder, and drops these two. Where L is even, half of the prefix has no
// effect and layers i and i+L/2 share what has.
// Source: peft 0.21.2, peft_model.py, get_prompt.
func prefixPairs(cfg hfio.AdapterConfig, base models.Shape) []int {
	if base.DecoderLayers == 0 {
		return numbers(0, cfg.NumLayers)
	}
	pairs := make([]int, base.DecoderLayers)
	for i := range pairs {
		pairs[i] = 2 * i % cfg.NumLayers
	}
	return pairs
}

// decoderMisfits compares the sizes of a prefix with the decoder that it is for. It has as
// many layers as the config says; PEFT takes the encoder's number.
func decoderMisfits(cfg hfio.AdapterConfig, base models.Shape) []Mismatch {
	var found []Mismatch
	if cfg.NumLayers < base.DecoderLayers {
		found = append(found, Mismatch{"num_layers", strconv.Itoa(cfg.NumLayers), "a decoder of " + strconv.Itoa(base.DecoderLayers) + " layers, for which Python PEFT has no prefix either"})
	}
	if cfg.NumTransformerSubmodules != 2 {
		found = append(found, Mismatch{"num_transformer_submodules", strconv.Itoa(cfg.NumTransformerSubmodules), "2, an encoder and a decoder"})
	}
	return found
}

// seq2seqErrors is what PEFT does not run on an encoder-decoder in other tasks than
// SEQ_2_SEQ_LM. A prompt stands before the encoder's words; classifiers of sequences read
// their end tokens in the ids, which a prompt takes the place of.
// Source: peft 0.21.2 and transformers 5.23, tried.
func seq2seqErrors(cfg hfio.AdapterConfig, base models.Shape, m method) []error {
	if base.DecoderLayers == 0 || m.delta {
		return nil
	}
	reason := ""
	switch {
	case cfg.TaskType == hfio.SeqCls && !m.cached:
		reason = "whose classifier of sequences takes no input embeddings"
	case !m.cached:
	case cfg.TaskType == hfio.SeqCls:
		reason = "whose classifier of sequences takes no keys and values"
	case cfg.TaskType == hfio.TokenCls:
		reason = "whose classifier of tokens takes no keys and values"
	case cfg.TaskType == hfio.QuestionAns:
		reason = "with the head of answers: it fails, or asks the encoder alone, on which it has no effect"
	case cfg.TaskType == hfio.FeatureExtraction:
		reason = "without a head as meant: the attention to the encoder reads the decoder's own keys, too"
	}
	if reason == "" {
		return nil
	}
	return []error{fieldError("task_type", "%q, want %q: Python PEFT does not run %s on %s, %s", cfg.TaskType, hfio.Seq2SeqLM, cfg.PeftType, base.ModelType, reason)}
}

// decoderIDs remarks that PEFT wants the ids of the decoder where a prompt takes the place of
// those that it would make them of.
func decoderIDs(cfg hfio.AdapterConfig, base models.Shape, m method) []Finding {
	if base.DecoderLayers == 0 || m.cached || m.delta || cfg.TaskType != hfio.QuestionAns && cfg.TaskType != hfio.FeatureExtraction {
		return nil
	}
	return []Finding{note("task_type", "%s: under a prompt Python wants decoder_input_ids, here input_ids shifted to the right where there are none", cfg.TaskType)}
}
