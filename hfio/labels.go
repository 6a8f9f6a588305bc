package hfio

import (
	"fmt"
	"strconv"
)

// maxLabels bounds num_labels, which makes a name for each.
const maxLabels = 1 << 20

// Labels returns the names of a classifier's outputs in order, as transformers
// makes them: those of id2label, unless there is a num_labels that disagrees; else
// num_labels names LABEL_0, LABEL_1, …; two of them where the config has neither.
// Source: transformers 5.23, configuration_utils.py, PreTrainedConfig.
func (r *ConfigReader) Labels() []string {
	n := r.IntOr("num_labels", -1)
	if n > maxLabels || n < 0 && r.Has("num_labels") {
		r.Reject("num_labels", fmt.Sprintf("an integer from 0 to %d", maxLabels))
		n = 0
	}
	if r.Has("id2label") {
		names := r.namedLabels()
		if n < 0 || n == len(names) {
			return names
		}
	}
	if n < 0 {
		n = 2
	}
	return defaultLabels(n)
}

func defaultLabels(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "LABEL_" + strconv.Itoa(i)
	}
	return names
}

// namedLabels reads id2label, whose keys are the numbers 0 … n-1 as strings.
func (r *ConfigReader) namedLabels() []string {
	sub, ok := r.Sub("id2label")
	if !ok {
		return nil
	}
	byID := map[int]string{}
	for _, key := range sub.Keys() {
		id, err := strconv.Atoi(key)
		if err != nil || id < 0 {
			sub.problem(key, &Mismatch{strconv.Quote(key), "a label's number as the key", ErrValue})
			continue
		}
		byID[id] = sub.StringOr(key, "")
	}
	names := make([]string, len(byID))
	for i := range names {
		name, ok := byID[i]
		if !ok {
			sub.problem(strconv.Itoa(i), fmt.Errorf("%w: the labels' numbers must be 0 to %d", errMissing, len(byID)-1))
			continue
		}
		names[i] = name
	}
	return names
}
