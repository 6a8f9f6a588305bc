package models

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
)

// Ignored is the class of a token that does not count in the loss.
const Ignored = kernel.Ignored

// Labels are the wanted answers to a batch: one entry a sequence in the slice that
// the task needs.
type Labels struct {
	Classes      []int       // SEQ_CLS: the class
	Values       [][]float32 // SEQ_CLS: the values of a regression, or 0 and 1 for each of several labels
	Tokens       [][]int     // TOKEN_CLS, MASKED_LM, CAUSAL_LM and SEQ_2_SEQ_LM: the class of every row, [Ignored] for none
	Weights      [][]float32 // of the terms of Tokens, whose number the mean is still over; nil: 1 each
	Starts, Ends []int       // QUESTION_ANS: rows of the answer, counted in the sequence's rows
}

// Loss returns the loss of a batch, a scalar, as transformers computes it
// (loss/loss_utils.py and the models' forward): cross entropy, binary cross entropy
// or mean squares for SEQ_CLS; cross entropy over all rows together for TOKEN_CLS,
// MASKED_LM, CAUSAL_LM and SEQ_2_SEQ_LM; the mean of the start's and the end's for QUESTION_ANS.
//
// As in PEFT nothing is shifted for virtual tokens: the labels of tokens are one a
// row, those of virtual tokens included, and spans count the virtual tokens' rows. The
// class of a row of CAUSAL_LM is the token that follows: [NextTokens] makes them of labels,
// for outputs of the rows that count alone, and [ShiftLabels] for whole outputs.
func Loss(task Task, problemType string, logits mat.Tensor, out Output, labels Labels) (_ mat.Tensor, err error) {
	defer Guard(&err)
	if logits == nil {
		return nil, fmt.Errorf("%w: %s has no scores to compare with labels", ErrUnsupportedTask, task)
	}
	switch task {
	case SeqCls:
		return sequenceLoss(problemType, logits, labels)
	case TokenCls, MaskedLM, CausalLM, Seq2SeqLM:
		return tokenLoss(logits, out, labels.Tokens, labels.Weights)
	case QuestionAns:
		if n := len(out.Spans); len(labels.Starts) != n || len(labels.Ends) != n {
			return nil, fmt.Errorf("%w: found %d starts and %d ends for %d sequences", ErrLabels, len(labels.Starts), len(labels.Ends), n)
		}
		return kernel.SpanCrossEntropy(logits, KernelSpans(out.Spans), labels.Starts, labels.Ends), nil
	}
	return nil, fmt.Errorf("%w: %s has no loss", ErrUnsupportedTask, task)
}

// NextTokens returns the tokens of a sequence whose rows predict a label that counts, as
// Sequence.Reads takes them, and those labels, which are the classes of these rows. labels
// has the label of each token, [Ignored] for none: as in transformers and PEFT the row of the
// token before predicts it, and the first is predicted by the last virtual token before the
// tokens if there is one.
func NextTokens(labels []int, s Sequence) (reads, classes []int) {
	reads = []int{}
	for token, label := range labels {
		if label != Ignored && (token > 0 || s.before() > 0) {
			reads, classes = append(reads, token-1), append(classes, label)
		}
	}
	return reads, classes
}

// ShiftLabels returns the classes of all rows of an output, for Labels.Tokens, from the labels
// of the tokens: each row has that of the token after it, and none if there is no such token.
func ShiftLabels(out Output, labels [][]int) [][]int {
	all := make([][]int, len(labels))
	for i, own := range labels {
		classes := slices.Repeat([]int{Ignored}, out.Spans[i].Prompt)
		classes = append(append(classes, own...), Ignored)
		all[i] = classes[1:]
	}
	return all
}

// sequenceLoss goes by the problem type; where there is none, one score is a
// regression, classes are single labels and values are several labels.
// Source: transformers 5.23, loss/loss_utils.py, ForSequenceClassificationLoss.
func sequenceLoss(problemType string, logits mat.Tensor, labels Labels) (mat.Tensor, error) {
	if problemType == "" {
		switch {
		case kernel.Cols(logits) == 1:
			problemType = Regression
		case labels.Classes != nil:
			problemType = SingleLabel
		default:
			problemType = MultiLabel
		}
	}
	switch problemType {
	case SingleLabel:
		if err := checkClasses(labels.Classes, kernel.Rows(logits), kernel.Cols(logits)); err != nil {
			return nil, err
		}
		return kernel.CrossEntropy(logits, labels.Classes), nil
	case Regression, MultiLabel:
		targets, err := targetValues(labels, kernel.Rows(logits), kernel.Cols(logits))
		if err != nil {
			return nil, err
		}
		if problemType == Regression {
			return kernel.MSE(logits, targets), nil
		}
		return kernel.BCEWithLogits(logits, targets), nil
	}
	return nil, fmt.Errorf("%w: problem_type %q, want %s, %s or %s", ErrUnsupportedTask, problemType, Regression, SingleLabel, MultiLabel)
}

// targetValues lays the values row by row; the classes of a regression are values.
func targetValues(labels Labels, rows, cols int) ([]float32, error) {
	values := labels.Values
	if values == nil {
		for _, class := range labels.Classes {
			values = append(values, []float32{float32(class)})
		}
	}
	if len(values) != rows {
		return nil, fmt.Errorf("%w: found %d for %d sequences", ErrLabels, len(values), rows)
	}
	for i, v := range values {
		if len(v) != cols {
			return nil, fmt.Errorf("%w: sequence %d: found %d values, want %d", ErrLabels, i, len(v), cols)
		}
	}
	return slices.Concat(values...), nil
}

func tokenLoss(logits mat.Tensor, out Output, tokens [][]int, weights [][]float32) (mat.Tensor, error) {
	if len(tokens) != len(out.Spans) {
		return nil, fmt.Errorf("%w: found %d for %d sequences", ErrLabels, len(tokens), len(out.Spans))
	}
	for i, span := range out.Spans {
		if rows := span.End - span.Start; len(tokens[i]) != rows {
			return nil, fmt.Errorf("%w: sequence %d: found %d labels, want %d: one a row, %d of them of virtual tokens",
				ErrLabels, i, len(tokens[i]), rows, span.Prompt)
		}
	}
	targets := slices.Concat(tokens...)
	if err := checkClasses(targets, kernel.Rows(logits), kernel.Cols(logits)); err != nil {
		return nil, err
	}
	return kernel.WeightedCrossEntropy(logits, targets, slices.Concat(weights...)), nil
}

func checkClasses(classes []int, rows, cols int) error {
	if len(classes) != rows {
		return fmt.Errorf("%w: found %d for %d rows", ErrLabels, len(classes), rows)
	}
	for i, class := range classes {
		if class != Ignored && (class < 0 || class >= cols) {
			return fmt.Errorf("%w: row %d: found class %d, want 0 to %d", ErrLabels, i, class, cols-1)
		}
	}
	return nil
}
