package joined_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/joined"
)

func TestParts(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	both := fmt.Errorf("%w: %w", a, b)
	for _, tt := range []struct {
		name string
		err  error
		want []error
	}{
		{"nil", nil, nil},
		{"one", a, []error{a}},
		{"joined", errors.Join(a, nil, b), []error{a, b}},
		{"nested", errors.Join(errors.Join(a), errors.Join(b, both)), []error{a, b, both}},
		{"of two kinds", both, []error{both}},
	} {
		if got := joined.Parts(tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
