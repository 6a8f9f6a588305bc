package adapters_test

import (
	"fmt"
	"testing"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/adapters/adaptertest"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// parameters are the names in PEFT's modules; TestTrainingEqualsPEFT holds them
// against PEFT itself.
var parameters = map[string][]string{
	"prompt":            {"embedding.weight"},
	"ptuning-mlp":       append(linears("mlp_head", 0, 2, 4), "embedding.weight"),
	"ptuning-lstm":      append(append(linears("mlp_head", 0, 2), lstms(2)...), "embedding.weight"),
	"prefix":            {"embedding.weight"},
	"prefix-projection": append(linears("transform", 0, 2), "embedding.weight"),
	"cartridge":         {"trainable_embedding"},
	"multitask":         {"embedding.weight", "prefix_task_cols", "prefix_task_rows"},
}

func linears(name string, at ...int) []string {
	var names []string
	for _, i := range at {
		names = append(names, fmt.Sprintf("%s.%d.weight", name, i), fmt.Sprintf("%s.%d.bias", name, i))
	}
	return names
}

func lstms(layers int) []string {
	var names []string
	for i := range layers {
		for _, kind := range []string{"weight_ih", "weight_hh", "bias_ih", "bias_hh"} {
			names = append(names, fmt.Sprintf("lstm_head.%s_l%d", kind, i), fmt.Sprintf("lstm_head.%s_l%d_reverse", kind, i))
		}
	}
	return names
}

func TestConformance(t *testing.T) {
	for name, make := range variants {
		for _, task := range []models.Task{models.SeqCls, models.TokenCls, models.QuestionAns, models.FeatureExtraction} {
			if !takes(name, task) {
				continue
			}
			c := make(3, 5)
			c.TaskType, c.EncoderDropout = hfio.TaskType(task), 0.3
			t.Run(name+"/"+string(task), func(t *testing.T) {
				adaptertest.Run(t, adaptertest.Suite{
					Base:     func(t testing.TB) *models.Model { return openBase(t, task) },
					Config:   c,
					Names:    parameters[name],
					Backward: ag.Backward,
				})
			})
		}
	}
}

func TestConformanceOfOtherInits(t *testing.T) {
	text, sampled, zero := variants["prompt"](4, 0), variants["prompt"](4, 0), variants["prefix"](2, 0)
	text.PromptTuningInit, text.PromptTuningInitText, text.TokenizerNameOrPath = "TEXT", "the cat", "base"
	sampled.PromptTuningInit, zero.InitWeights = "SAMPLE_VOCAB", "zero"
	for name, c := range map[string]hfio.AdapterConfig{"text": text, "sampled": sampled, "zero": zero} {
		t.Run(name, func(t *testing.T) {
			adaptertest.Run(t, adaptertest.Suite{
				Base:      func(t testing.TB) *models.Model { return openBase(t, models.SeqCls) },
				Config:    c,
				TextIDs:   []int{2, 5, 6, 3},
				Names:     []string{"embedding.weight"},
				Backward:  ag.Backward,
				SameStart: name != "sampled",
			})
		})
	}
}
