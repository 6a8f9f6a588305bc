package auto_test

import (
	"fmt"
	"log"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

// A base is loaded once; heads of any task are put on it.
func ExampleOpen() {
	base, err := auto.Open(hfio.Dir("../../compat_test/testdata/goldens/SEQ_CLS/base"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	model, err := base.Model(models.HeadSpec{Task: models.SeqCls})
	if err != nil {
		log.Fatal(err)
	}
	batch := models.Batch{Sequences: []models.Sequence{{IDs: []int{2, 17, 9, 3}}, {IDs: []int{2, 5, 3}}}}
	logits, _, err := model.Forward(batch)
	if err != nil {
		log.Fatal(err)
	}
	shape := base.Shape()
	fmt.Println(shape.ModelType, shape.Layers, "layers of", shape.Hidden)
	fmt.Println("labels", model.Labels, "logits", logits.Shape())
	// Output:
	// bert 2 layers of 12
	// labels [LABEL_0 LABEL_1 LABEL_2] logits [2 3]
}
