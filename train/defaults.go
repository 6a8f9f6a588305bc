package train

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// Recipe is what to train a method with.
type Recipe struct {
	VirtualTokens    int
	ContextExamples  int // CPT: of which the virtual tokens are made
	LearningRate     float64
	BatchSize        int
	Schedule         Schedule
	WarmupRatio      float64
	ClipNorm         float64
	PromptTuningInit string  // PROMPT_TUNING
	InitWeights      string  // PREFIX_TUNING; "": PEFT's N(0, 1)
	Reparameterize   string  // P_TUNING's encoder
	Rank             int     // LORA
	Alpha            float64 // LORA
}

// Kind is a kind of base and task that wants its own settings.
type Kind int

// The kinds.
const (
	Encoder Kind = iota // and encoder-decoders, for which nothing else was measured
	Tagger              // an Encoder for TOKEN_CLS
	Decoder             // for any task
)

// KindOf returns the kind of a model.
func KindOf(m *models.Model) Kind {
	if _, ok := m.Backbone.(models.Decoder); ok && m.Backbone.Shape().DecoderLayers == 0 {
		return Decoder
	}
	if m.Task == models.TokenCls {
		return Tagger
	}
	return Encoder
}

// Defaults returns the settings that a method is trained with unless others are given.
// docs/defaults.md has the evidence, of which the most important:
//
// The learning rate and the start of a prompt decide more than the method does. In
// PEFT's own benchmark (method_comparison/MetaMathQA, Llama 3.2 3B, GSM8K accuracy)
// prompt tuning goes from 5.7 % (learning rate 1e-4, PEFT's random start) to 23.4 %
// (1e-3) and 34.3 % (1e-3, rows sampled from the vocabulary). On MiniLM-L6 with
// PEFT 0.21.2, batches of 32, 20 virtual tokens, a linear schedule with 6 % warm-up and
// clipping at 1, three epochs of TREC gave 85.6 % for prompt tuning at 1e-2, 92.6 % for
// prefix tuning at 1e-2 and 74.8 % for P-tuning with an MLP at 1e-3. Prefixes start as
// PEFT's do (gloss-bert, three epochs of TREC: 84.9 % so, and 81.2 % from zero), but on decoders
// at zero, which is better in the benchmark: on SmolLM2-135M and restaurant descriptions the
// first loss is 3.1 so, and 7.8 from N(0, 1); 800 sentences of SST-2 gave 70.5 % so, and 52.5 %
// from N(0, 1).
//
// Decoders want small batches, and LoRA a smaller rate: the same pass over the 800 sentences
// gave LoRA 81.0 % at 1e-3 in batches of 8, 63.3 % in batches of 32, and 80.8 % at 3e-3 in
// batches of 8; a prefix 70.5 and 68.0 %.
//
// P-tuning's MLP wants the same rate: gopeft, two epochs of TREC, three seeds, gave
// 86.8, 71.2 and 76.0 % at 1e-2, and 56.0, 58.2 and 51.8 % at 1e-3; at 2e-2 one seed fell
// back to 67.0 %. One epoch of SST-2 gave 77.5 % against 72.8 %.
//
// LoRA of rank 8 and alpha 16 on queries and values, two epochs of TREC, one seed, gave
// 96.2 % at 3e-3 and 92.8 % at 1e-3. Tokens want a higher rate than sequences: ten epochs of CoNLL-04,
// three seeds, gave an entity F1 of 77.4 at 5e-3 and 74.9 at 3e-3; one epoch of SST-2 85.1 and 86.0 %.
//
// CPT keeps what it adds to a word within 0.1·√(d/2048): at 1e-4 AdamW, whose step is about the
// rate times √d long, needs some twenty steps to get there, whatever d is. On gloss-llama rates
// of 1e-5 to 1e-2 gave the same perplexity.
//
// The rows of MULTITASK_PROMPT_TUNING begin near zero, as PEFT multiplies two small
// matrices into them, and want a higher rate: one task, two epochs of TREC, one seed, gave
// 77.8 % at 1e-2 and 84.6 % at 3e-2.
func Defaults(method hfio.PeftType, base Kind) Recipe {
	r := Recipe{
		VirtualTokens: 20, LearningRate: 1e-2, BatchSize: defaultBatch,
		Schedule: Linear, WarmupRatio: 0.06, ClipNorm: 1,
	}
	if base == Decoder {
		r.BatchSize = 8
	}
	switch method {
	case hfio.PromptTuning:
		r.PromptTuningInit = "SAMPLE_VOCAB"
	case hfio.MultitaskPromptTuning:
		r.PromptTuningInit, r.LearningRate = "SAMPLE_VOCAB", 3e-2
	case hfio.PrefixTuning:
		if base == Decoder {
			r.InitWeights = "zero"
		}
	case hfio.PTuning:
		r.Reparameterize = "MLP"
	case hfio.CPT:
		r.VirtualTokens, r.ContextExamples, r.LearningRate = 0, 4, 1e-4
	case hfio.Lora:
		r.VirtualTokens, r.Rank, r.Alpha, r.LearningRate = 0, 8, 16, 3e-3
		switch base {
		case Decoder:
			r.LearningRate = 1e-3
		case Tagger:
			r.LearningRate = 5e-3
		}
	}
	return r
}
