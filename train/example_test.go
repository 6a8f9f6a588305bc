package train_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/train"
)

// A real run opens a base model and its tokenizer, and makes features of a file with
// ReadFile and Encode; here they are given.
func ExampleRun() {
	base, file, err := auto.Load(hfio.Dir("../adapters/testdata/base"), &auto.Options{
		Task: models.SeqCls, Labels: []string{"cat", "dog"}, Rand: rand.New(rand.NewPCG(1, 2)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	config := hfio.NewAdapterConfig(hfio.PrefixTuning)
	config.TaskType, config.NumVirtualTokens = hfio.SeqCls, 4
	model, err := adapters.New(base, config, adapters.Init{Rand: rand.New(rand.NewPCG(3, 4))})
	if err != nil {
		fmt.Println(err)
		return
	}
	data := []train.Feature{{IDs: []int{2, 6, 3}, Class: 0}, {IDs: []int{2, 12, 3}, Class: 1}}
	summary, err := train.Run(context.Background(), model, train.Dataset{Train: data, Dev: data}, train.Config{
		Epochs: 100, LearningRate: 0.05, NoDropout: true,
	})
	fmt.Println(summary.Steps, "steps,", summary.Metric, summary.Best, err)
	// Output: 100 steps, accuracy 1 <nil>
}
