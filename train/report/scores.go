package report

import (
	"errors"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Score is what a method reached with some trained parameters.
type Score struct {
	Method     string
	Parameters int
	Mean, SD   float64 // of a metric, over seeds
}

// point is where a score stands; no parameters have no logarithm.
func (s Score) point() plotter.XYs {
	return plotter.XYs{{X: float64(max(1, s.Parameters)), Y: s.Mean}}
}

// SaveScores draws scores against trained parameters, on a logarithmic axis, into a
// .png or .svg file. Bars show one standard deviation on either side.
func SaveScores(path, metric string, scores []Score) error {
	if len(scores) == 0 {
		return fmt.Errorf("%s: %w", path, ErrEmpty)
	}
	p := newPlot("dev " + metric)
	p.X.Label.Text = "trained parameters"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	var err error
	for i, score := range scores {
		err = errors.Join(err, addScore(p, i, score))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// A logarithmic axis needs two ends, whole powers of ten that its ticks can name.
	low, high := 1.0, 10.0
	for low*10 <= p.X.Min {
		low *= 10
	}
	for high < p.X.Max {
		high *= 10
	}
	p.X.Min, p.X.Max = low, max(high, 10*low)
	margin := max(0.1*(p.Y.Max-p.Y.Min), 1e-3)
	p.Y.Min, p.Y.Max = p.Y.Min-margin, p.Y.Max+margin
	for i, score := range scores {
		err = errors.Join(err, addName(p, i, score))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return save(path, []*plot.Plot{p}, 1.4*halfHeight)
}

func addScore(p *plot.Plot, i int, s Score) error {
	at := s.point()
	dot, err := plotter.NewScatter(at)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Method, err)
	}
	dot.Color, dot.Shape, dot.Radius = colours[i%len(colours)], draw.CircleGlyph{}, vg.Points(4)
	bar, err := plotter.NewYErrorBars(struct {
		plotter.XYs
		plotter.YErrors
	}{at, plotter.YErrors{{Low: s.SD, High: s.SD}}})
	if err != nil {
		return fmt.Errorf("%s: %w", s.Method, err)
	}
	bar.Color = dot.Color
	p.Add(bar, dot)
	return nil
}

// addName writes a method beside its dot, towards the middle.
func addName(p *plot.Plot, i int, s Score) error {
	at := s.point()
	names, err := plotter.NewLabels(plotter.XYLabels{XYs: at, Labels: []string{s.Method}})
	if err != nil {
		return fmt.Errorf("%s: %w", s.Method, err)
	}
	style := &names.TextStyle[0]
	style.Color, style.YAlign = colours[i%len(colours)], draw.YCenter
	names.Offset.X = vg.Points(8)
	if at[0].X*at[0].X > p.X.Min*p.X.Max {
		style.XAlign, names.Offset.X = draw.XRight, vg.Points(-8)
	}
	p.Add(names)
	return nil
}
