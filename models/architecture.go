package models

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models/layer"
)

// HeadedBackbone is a backbone that makes its own heads.
type HeadedBackbone interface {
	Backbone
	// NewHead makes the head of spec.Task with len(spec.Labels) scores: read from the
	// checkpoint, or drawn with spec.Rand where it is not there in that size (isNew).
	// Without a Rand the head must be there. Problems of tensors are noted in w. The
	// head of FEATURE_EXTRACTION is nil.
	NewHead(w *layer.Weights, spec HeadSpec) (head Head, isNew bool, err error)
}

// Architecture is how one model_type is read.
type Architecture struct {
	// Prefix stands before the backbone's tensors in a checkpoint with a head.
	Prefix string
	// Prefixes are those of tasks whose class has another.
	Prefixes map[Task]string
	// Renamed pairs endings of tensor names with those of older checkpoints.
	Renamed [][2]string
	// Windows: the model reads sliding_window.
	Windows bool
	// Tasks gives the task of each class that config.json's architectures may name.
	Tasks map[string]Task
	New   func(config hfio.ModelConfig, w *layer.Weights) (HeadedBackbone, error)
}

// NewBackbone makes the New of an Architecture from the function that reads its model.
func NewBackbone[M HeadedBackbone](read func(hfio.ModelConfig, *layer.Weights) (M, error)) func(hfio.ModelConfig, *layer.Weights) (HeadedBackbone, error) {
	return func(config hfio.ModelConfig, w *layer.Weights) (HeadedBackbone, error) {
		m, err := read(config, w)
		if err != nil {
			return nil, err // not a nil M, which is no nil HeadedBackbone
		}
		return m, nil
	}
}
