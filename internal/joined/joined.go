// Package joined takes apart what errors.Join has put together.
package joined

import "errors"

// Parts returns the errors that are joined in err, and in those; err itself where it is one, none for nil.
func Parts(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(many.Unwrap()...).Error() != err.Error() { // one error that is of two kinds
		return []error{err}
	}
	var parts []error
	for _, one := range many.Unwrap() {
		parts = append(parts, Parts(one)...)
	}
	return parts
}
