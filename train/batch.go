package train

import (
	"math/rand/v2"
	"slices"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// plan says which features each optimiser step of an epoch learns from.
type plan struct {
	features    []Feature
	seed        uint64
	batchSize   int // examples of a batch, unless batchTokens is set
	batchTokens int // tokens of a batch at most; 0: by examples
	accumulate  int // batches of a step
}

// The streams of random numbers that a seed gives; each has its own so that none
// disturbs another.
const (
	shuffleStream = 0x73687566666c6521
	dropoutStream = 0x64726f706f757421
)

// Order returns the order in which Run reads n features in an epoch, counted from 0: what
// another program needs to learn from the same batches. It is a function of the seed and
// the epoch, so that it needs no saving.
func Order(seed uint64, epoch, n int) []int {
	return rand.New(rand.NewPCG(seed^shuffleStream, uint64(epoch))).Perm(n)
}

// epoch returns the steps of an epoch, each a list of batches of feature indices.
func (p plan) epoch(epoch int) [][][]int {
	order := Order(p.seed, epoch, len(p.features))
	var batches [][]int
	for len(order) > 0 {
		n := p.take(order)
		batches = append(batches, order[:n])
		order = order[n:]
	}
	var steps [][][]int
	for len(batches) > 0 {
		n := min(p.accumulate, len(batches))
		steps = append(steps, batches[:n])
		batches = batches[n:]
	}
	return steps
}

// take returns how many of the next features make a batch: at least one.
func (p plan) take(order []int) int {
	if p.batchTokens <= 0 {
		return min(p.batchSize, len(order))
	}
	tokens := 0
	for n, i := range order {
		if tokens += len(p.features[i].IDs); tokens > p.batchTokens && n > 0 {
			return n
		}
	}
	return len(order)
}

// dropoutOf returns the masks of one batch of one step.
func dropoutOf(seed uint64, step, batch int) *layer.Dropout {
	random := rand.New(rand.NewPCG(seed^dropoutStream, uint64(step)<<20|uint64(batch)))
	return layer.NewDropout(random.Uint64())
}

// sequences returns the features as a model takes them.
func sequences(features []Feature) []models.Sequence {
	list := make([]models.Sequence, len(features))
	for i, f := range features {
		list[i] = models.Sequence{IDs: f.IDs, TypeIDs: f.TypeIDs, Virtual: f.Virtual, Reads: f.Reads, DecoderIDs: f.DecoderIDs, TaskID: f.TaskID}
	}
	return list
}

// labelled returns features of TOKEN_CLS whose rows with a tag alone are read and learnt;
// other tasks read no others.
func labelled(task models.Task, features []Feature) []Feature {
	if task != models.TokenCls {
		return features
	}
	features = slices.Clone(features)
	for i := range features {
		f := &features[i]
		f.Reads = []int{}
		for token, tag := range f.Tags {
			if tag != models.Ignored {
				f.Reads, f.Targets = append(f.Reads, token), append(f.Targets, tag)
			}
		}
		f.Tags = nil
	}
	return features
}

// labelsOf returns what the loss needs. Virtual tokens' rows come first: PEFT does not
// shift labels, so each tag gets a row's place here, and each answer too.
func labelsOf(task models.Task, features []Feature, out models.Output) models.Labels {
	var l models.Labels
	for i, f := range features {
		virtual := out.Spans[i].Prompt
		switch task {
		case models.TokenCls:
			if f.Reads != nil {
				l.Tokens = append(l.Tokens, f.Targets)
				continue
			}
			tags := make([]int, 0, virtual+len(f.Tags))
			for range virtual {
				tags = append(tags, models.Ignored)
			}
			l.Tokens = append(l.Tokens, append(tags, f.Tags...))
		case models.CausalLM, models.Seq2SeqLM:
			l.Tokens = append(l.Tokens, f.Targets)
			if f.Weights != nil {
				l.Weights = append(l.Weights, f.Weights)
			}
		case models.QuestionAns:
			l.Starts = append(l.Starts, f.Start+virtual)
			l.Ends = append(l.Ends, f.End+virtual)
		default:
			if f.Values != nil {
				l.Values = append(l.Values, f.Values)
			} else {
				l.Classes = append(l.Classes, f.Class)
			}
		}
	}
	return l
}

// counted is how many terms the mean of a batch's loss has.
func counted(task models.Task, features []Feature) int {
	if task != models.TokenCls && !IsWriting(task) {
		return len(features)
	}
	n := 0
	for _, f := range features {
		n += len(f.Targets)
		for _, tag := range f.Tags {
			if tag != models.Ignored {
				n++
			}
		}
	}
	return n
}

func tokensOf(features []Feature) int {
	n := 0
	for _, f := range features {
		n += len(f.IDs) + len(f.DecoderIDs)
	}
	return n
}

func pick(features []Feature, index []int) []Feature {
	list := make([]Feature, len(index))
	for i, j := range index {
		list[i] = features[j]
	}
	return list
}
