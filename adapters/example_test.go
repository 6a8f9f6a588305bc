package adapters_test

import (
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

// An adapter that Python PEFT trained classifies token ids.
func ExampleLoad() {
	base, files, err := auto.Load(hfio.Dir("testdata/base"), &auto.Options{Task: models.SeqCls})
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()
	model, err := adapters.Load(hfio.Dir("testdata/prefix-seq_cls"), base)
	if err != nil {
		log.Fatal(err)
	}
	frozen, err := model.Freeze()
	if err != nil {
		log.Fatal(err)
	}
	logits, _, err := frozen.Forward(models.Batch{Sequences: []models.Sequence{{IDs: []int{2, 11, 12, 13, 3}}}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(frozen.Prompt(0).Len(), "virtual tokens,", kernel.Cols(logits), "scores")
	// Output: 3 virtual tokens, 3 scores
}

// A new adapter is made for a base, to be trained.
func ExampleNew() {
	base, files, err := auto.Load(hfio.Dir("testdata/base"), &auto.Options{Task: models.TokenCls})
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()
	config := hfio.NewAdapterConfig(hfio.PromptTuning)
	config.TaskType, config.NumVirtualTokens = hfio.TokenCls, 8
	model, err := adapters.New(base, config, adapters.Init{Rand: rand.New(rand.NewPCG(1, 0))})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range model.Trained() {
		fmt.Println(p.Name, p.Param.Shape())
	}
	// Output:
	// prompt_encoder.embedding.weight [8 16]
	// base_model.classifier.weight [3 16]
	// base_model.classifier.bias [1 3]
}
