package train

import "math"

// F1Scores are the F1 of single labels, averaged in the usual ways.
type F1Scores struct {
	PerClass []float64 // 0 for a class that is neither predicted nor wanted
	Micro    float64   // of all decisions together; the accuracy
	Macro    float64   // mean over the classes that are predicted or wanted
}

// Accuracy is the share of predictions that are right; 0 of nothing.
func Accuracy(predicted, wanted []int) float64 {
	right := 0
	for i, p := range predicted {
		if p == wanted[i] {
			right++
		}
	}
	return ratio(right, len(predicted))
}

// F1 compares classes from 0 to classes-1, as scikit-learn's f1_score does.
func F1(predicted, wanted []int, classes int) F1Scores {
	c := make([]counts, classes)
	for i, p := range predicted {
		w := wanted[i]
		c[p].predicted++
		c[w].wanted++
		if p == w {
			c[p].right++
		}
	}
	return averageF1(c, false)
}

// F1Several compares several labels an example, one bool a label, as scikit-learn's
// f1_score does of indicator matrices.
func F1Several(predicted, wanted [][]bool, classes int) F1Scores {
	c := make([]counts, classes)
	for i, row := range predicted {
		for k, p := range row {
			w := wanted[i][k]
			c[k].predicted += oneIf(p)
			c[k].wanted += oneIf(w)
			c[k].right += oneIf(p && w)
		}
	}
	return averageF1(c, true)
}

// counts are what F1 is made of: 2·right / (predicted + wanted).
type counts struct{ predicted, wanted, right int }

func (c counts) f1() float64 { return ratio(2*c.right, c.predicted+c.wanted) }

func averageF1(classes []counts, absentCount bool) F1Scores {
	var all counts
	var s F1Scores
	present := 0
	for _, c := range classes {
		all.predicted += c.predicted
		all.wanted += c.wanted
		all.right += c.right
		s.PerClass = append(s.PerClass, c.f1())
		if absentCount || c.predicted+c.wanted > 0 {
			s.Macro += c.f1()
			present++
		}
	}
	if present > 0 {
		s.Macro /= float64(present)
	}
	s.Micro = all.f1()
	return s
}

// MCC is the Matthews correlation coefficient for any number of classes (Gorodkin
// 2004), as scikit-learn's matthews_corrcoef; 0 where it is not defined.
func MCC(predicted, wanted []int, classes int) float64 {
	p, w := make([]float64, classes), make([]float64, classes)
	right, n := 0.0, float64(len(predicted))
	for i := range predicted {
		p[predicted[i]]++
		w[wanted[i]]++
		if predicted[i] == wanted[i] {
			right++
		}
	}
	var pw, pp, ww float64
	for k := range classes {
		pw, pp, ww = pw+p[k]*w[k], pp+p[k]*p[k], ww+w[k]*w[k]
	}
	denominator := math.Sqrt((n*n - pp) * (n*n - ww))
	if denominator == 0 {
		return 0
	}
	return (right*n - pw) / denominator
}

// MeanSquares is the mean of the squared differences.
func MeanSquares(x, y []float64) float64 {
	sum := 0.0
	for i := range x {
		sum += (x[i] - y[i]) * (x[i] - y[i])
	}
	return sum / float64(len(x))
}

// Pearson is the correlation of x and y; 0 where either does not vary.
func Pearson(x, y []float64) float64 {
	mx, my := mean(x), mean(y)
	var xy, xx, yy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xy, xx, yy = xy+dx*dy, xx+dx*dx, yy+dy*dy
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ratio(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
