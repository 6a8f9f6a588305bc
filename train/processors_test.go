package train_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/train"
)

// wideBase makes a random BERT with the tensors of the goldens' base, eight times as
// wide, so that the work of one operator is worth several processors.
func wideBase(t *testing.T) *models.Model {
	t.Helper()
	const narrow, inner, factor = 16, 24, 8
	config, err := os.ReadFile("../adapters/testdata/base/config.json")
	if err != nil {
		t.Fatal(err)
	}
	config = bytes.Replace(config, []byte(`"hidden_size": 16`), []byte(`"hidden_size": 128`), 1)
	config = bytes.Replace(config, []byte(`"intermediate_size": 24`), []byte(`"intermediate_size": 192`), 1)
	file, err := hfio.OpenSafeTensors(hfio.Dir("../adapters/testdata/base"), "model.safetensors", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	random := rand.New(rand.NewPCG(8, 9))
	var tensors []hfio.Tensor
	for _, tensor := range file.Tensors {
		if strings.HasPrefix(tensor.Name, "classifier.") {
			continue // it has three outputs
		}
		size, shape := 1, append([]int{}, tensor.Shape...)
		for i, n := range shape {
			if n == narrow || n == inner {
				shape[i] = n * factor
			}
			size *= shape[i]
		}
		values := make([]float32, size)
		for i := range values {
			values[i] = float32(0.1 * random.NormFloat64())
		}
		tensors = append(tensors, hfio.NewFloat32(tensor.Name, shape, values))
	}
	weights, err := hfio.EncodeSafeTensors(nil, tensors)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"config.json": config, "model.safetensors": weights} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	base, open, err := auto.Load(hfio.Dir(dir), &auto.Options{Task: models.SeqCls, Labels: []string{"a", "b"}, Rand: rand.New(rand.NewPCG(1, 2))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = open.Close() })
	return base
}

func TestSameBytesOnAnyNumberOfProcessors(t *testing.T) {
	data := train.Dataset{Train: toy(96, 1), Dev: toy(40, 2)}
	base := wideBase(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, c := range methods {
		t.Run(name, func(t *testing.T) {
			var one string
			for _, processors := range []int{1, 2, 3, 7} {
				runtime.GOMAXPROCS(processors)
				dir := t.TempDir()
				cfg := train.Config{Epochs: 1, BatchSize: 24, Accumulate: 2, LearningRate: 0.05, Seed: 7, Dir: dir}
				if _, err := train.Run(context.Background(), newModel(t, base, c.method, c.change), data, cfg); err != nil {
					t.Fatal(err)
				}
				if processors == 1 {
					one = dir
				}
				sameFiles(t, dir, one)
			}
		})
	}
}
