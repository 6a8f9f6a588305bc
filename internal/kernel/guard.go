package kernel

import "fmt"

// ShapeError says that an operator was called with operands that do not fit.
// It is the value of the panic.
type ShapeError struct {
	Op      string // the function called: "Linear"
	Problem string // what was found and what was wanted
}

func (e *ShapeError) Error() string { return "kernel: " + e.Op + ": " + e.Problem }

// fail panics with a ShapeError.
func fail(op, format string, args ...any) {
	panic(&ShapeError{Op: op, Problem: fmt.Sprintf(format, args...)})
}

// Guard turns the panic of a [*ShapeError] into *err; any other panic goes on.
// Use it as defer kernel.Guard(&err).
func Guard(err *error) {
	if recovered := recover(); recovered != nil {
		*err = Recovered(recovered)
	}
}

// Recovered returns the error in what recover returned, for a deferred function
// that calls recover itself. A value other than a *ShapeError panics again.
func Recovered(recovered any) error {
	if shape, ok := recovered.(*ShapeError); ok {
		return shape
	}
	panic(recovered)
}
