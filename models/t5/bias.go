package t5

import (
	"math"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
)

// readBias reads the bias by relative positions, which the layers of a stack share: a value
// for each head and bucket of distances, [buckets, H]. A decoder sees no distance above 0.
func readBias(c config, w *layer.Weights, decoder bool) *kernel.RelativeBias {
	values := w.Values("relative_attention_bias.weight", c.buckets, c.Heads)
	if values == nil {
		return nil
	}
	distances := c.maxDistance + 1 // from -maxDistance to 0
	if !decoder {
		distances += c.maxDistance
	}
	b := &kernel.RelativeBias{Values: make([]float32, c.Heads*distances), Zero: c.maxDistance}
	for i := range distances {
		bucket := c.bucket(i-c.maxDistance, decoder)
		for h := range c.Heads {
			b.Values[h*distances+i] = values[bucket*c.Heads+h]
		}
	}
	return b
}

// bucket returns the bucket of a key's distance from the query: small distances have one
// each, larger ones share them by their logarithm, up to maxDistance. Rounding is torch's.
// Source: transformers 5.23, modeling_t5.py, _relative_position_bucket.
func (c config) bucket(distance int, decoder bool) int {
	buckets, first := c.buckets, 0
	if !decoder {
		buckets /= 2
		if distance > 0 {
			first = buckets
		}
	}
	if distance = max(distance, -distance); distance < buckets/2 {
		return first + distance
	}
	exact := buckets / 2
	log := float32(math.Log(float64(float32(distance) / float32(exact))))
	part := log / float32(math.Log(float64(c.maxDistance)/float64(exact))) * float32(buckets-exact)
	return first + min(exact+int(part), buckets-1)
}
