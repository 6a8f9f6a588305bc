// Command classify answers with two adapters over one frozen base model, which is
// loaded once:
//
//	go run ./examples/classify BASE ADAPTER1 ADAPTER2 "some text"
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/predict"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: classify BASE ADAPTER1 ADAPTER2 TEXT")
	}
	base, err := predict.OpenBase(hfio.Dir(os.Args[1]), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	for _, dir := range os.Args[2:4] {
		predictor, err := base.Adapter(hfio.Dir(dir))
		if err != nil {
			log.Fatal(err)
		}
		answers, err := predictor.Classify(context.Background(), []predict.Text{{Text: os.Args[4]}})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s (%.3f)\n", dir, answers[0].Label, answers[0].Score)
	}
}
