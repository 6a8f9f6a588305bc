package deberta

import (
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// positions are the relative positions that a pass needs. Adapters may add to what layers make
// of them: each adapter in the batch has copies of its own.
type positions struct {
	pool   *models.Pool
	all    mat.Tensor // the embeddings of all relative positions, [2·span, d]
	index  []int      // the rows of all, [copies·n]
	deltas *layer.Deltas
	table  kernel.RelativePositions // without keys and queries
}

// look returns the rows that the pass needs of a table that has a row for each relative position;
// nil for nil.
func (p *positions) look(table mat.Tensor) mat.Tensor {
	if table == nil {
		return nil
	}
	return kernel.Embed(p.pool, kernel.Lookup{Table: kernel.Values{Float32: kernel.Data(table)}, Width: kernel.Cols(table), Index: p.index})
}

// positions returns the relative positions of a pass, nil for none.
func (m *Model) positions(pass *stack.Pass) *positions {
	if m.relative == nil {
		return nil
	}
	longest := 1
	for i, span := range pass.Spans {
		longest = max(longest, pass.FirstPosition[i]+span.End-span.Start)
	}
	table := make([]int, 2*longest-1)
	for i := range table {
		table[i] = m.config.row(longest - 1 - i)
	}
	first, last := slices.Min(table), slices.Max(table)
	for i := range table {
		table[i] -= first
	}
	n := last + 1 - first
	p := &positions{pool: pass.Batch.Pool, all: m.relative, table: kernel.RelativePositions{Rows: table, Zero: longest - 1}}
	owners := p.copies(pass.Batch, n)
	var spans []models.Span
	for range owners {
		spans = append(spans, models.Span{Start: len(p.index), End: len(p.index) + n})
		for row := first; row <= last; row++ {
			p.index = append(p.index, row)
		}
	}
	p.deltas = models.DeltasOf(owners, spans, pass.Batch.Dropout)
	return p
}

// copies gives every sequence its copy of n rows, and returns whose the copies are: nil where
// nothing is added.
func (p *positions) copies(batch models.Batch, n int) (owners []*models.Prompt) {
	prompts := models.PromptsOf(batch)
	if prompts == nil {
		return []*models.Prompt{nil}
	}
	for _, prompt := range prompts {
		if prompt != nil && len(prompt.Deltas) == 0 {
			prompt = nil
		}
		at := slices.Index(owners, prompt)
		if at < 0 {
			at = len(owners)
			owners = append(owners, prompt)
		}
		p.table.First = append(p.table.First, at*n)
	}
	return owners
}

// row is the row of the embeddings for a query that stands so many positions behind the key.
// Source: transformers 5.23, modeling_deberta_v2.py, disentangled_attention_bias.
func (c config) row(distance int) int {
	return min(max(c.bucket(distance)+c.span, 0), 2*c.span-1)
}

// bucket returns the bucket of a distance: small distances have one each, larger ones share
// them by their logarithm. Without buckets it is the distance. Rounding is torch's.
// Source: transformers 5.23, modeling_deberta_v2.py, make_log_bucket_position.
func (c config) bucket(distance int) int {
	middle := c.buckets / 2
	if c.buckets == 0 || max(distance, -distance) <= middle {
		return distance
	}
	far := log(float32(max(distance, -distance))/float32(middle)) / log(float32(float64(c.farthest-1)/float64(middle)))
	bucket := int(math.Ceil(float64(far*float32(middle-1)))) + middle
	if distance < 0 {
		return -bucket
	}
	return bucket
}

func log(v float32) float32 { return float32(math.Log(float64(v))) }
