package deberta

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// buckets holds what transformers computes.
//
//go:embed testdata/buckets.json
var buckets []byte

func TestBuckets(t *testing.T) {
	var file struct {
		MadeBy string `json:"made_by"`
		Cases  []struct {
			Buckets, Farthest, Distances int
			Starts                       [][2]int // of the buckets: a distance, and its bucket
		}
	}
	if err := json.Unmarshal(buckets, &file); err != nil || len(file.Cases) == 0 {
		t.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	t.Log("expected values by", file.MadeBy)
	for _, c := range file.Cases {
		t.Run(fmt.Sprint(c.Buckets, " of ", c.Farthest), func(t *testing.T) {
			own, want := config{buckets: c.Buckets, farthest: c.Farthest}, 0
			for distance := range c.Distances {
				if len(c.Starts) > 0 && c.Starts[0][0] == distance {
					want, c.Starts = c.Starts[0][1], c.Starts[1:]
				}
				if got := own.bucket(distance); got != want {
					t.Fatalf("distance %d is in bucket %d, want %d", distance, got, want)
				}
				if got := own.bucket(-distance); got != -want {
					t.Fatalf("distance %d is in bucket %d, want %d", -distance, got, -want)
				}
			}
		})
	}
}

// What makes keys and queries of all positions once is of use: batches without LoRA and dropout take it.
func TestPositionsAreProjectedOnce(t *testing.T) {
	checkpoint, err := hfio.OpenModel(hfio.Dir("../../compat_test/testdata/encoders/deberta-v3/base"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = checkpoint.Close() }()
	m, err := New(checkpoint.Config, layer.NewWeights(checkpoint, kernel.Float32, Architecture("DebertaV2").Prefix))
	if err != nil {
		t.Fatal(err)
	}
	batch := models.Batch{Sequences: []models.Sequence{{IDs: []int{3, 5}}, {IDs: []int{7}, Prompt: &models.Prompt{}}}}
	if _, err := m.Forward(batch); err != nil {
		t.Fatal(err)
	}
	for i, l := range m.layers {
		if l.all.queries == nil || l.all.keys == nil {
			t.Errorf("layer %d has no keys and queries of all positions", i)
		}
	}
}
