package models_test

import (
	"errors"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

func TestGuard(t *testing.T) {
	guarded := func(f func()) (err error) {
		defer models.Guard(&err)
		f()
		return err
	}
	var shape *kernel.ShapeError
	if err := guarded(func() { kernel.New(1, 2, []float32{1}) }); !errors.As(err, &shape) {
		t.Errorf("wrong shapes: found %v, want a *kernel.ShapeError", err)
	}
	if err := guarded(func() {}); err != nil {
		t.Errorf("no panic: found %v", err)
	}
	defer func() {
		if recovered := recover(); recovered != "other" {
			t.Errorf("another panic: found %v, want it to go on", recovered)
		}
	}()
	_ = guarded(func() { panic("other") })
}
