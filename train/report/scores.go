package report

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

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

// SaveScores draws scores against trained parameters, on a logarithmic axis, into a
// .png or .svg file. Bars show one standard deviation on either side. Where sizes are almost the
// same, scores stand side by side. The methods are named in their order beside the drawing, where
// no name can lie upon another.
func SaveScores(path, metric string, scores []Score) error {
	if len(scores) == 0 {
		return fmt.Errorf("%s: %w", path, ErrEmpty)
	}
	p, names := newPlot("dev "+metric), plot.NewLegend()
	p.X.Label.Text = "trained parameters"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(sizeTicks)
	places, low, high := placesOf(scores)
	var err error
	for i, score := range scores {
		err = errors.Join(err, addScore(p, &names, i, places[i], score))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p.X.Min, p.X.Max = low, high
	margin := max(0.1*(p.Y.Max-p.Y.Min), 1e-3)
	p.Y.Min, p.Y.Max = p.Y.Min-margin, p.Y.Max+margin
	names.Top, names.Left, names.Padding, names.YOffs = true, true, vg.Points(4), -vg.Points(8)
	return save(path, 1.4*halfHeight, func(c draw.Canvas) {
		beside := names.Rectangle(c).Size().X + vg.Points(8)
		drawAll([]*plot.Plot{p}, draw.Crop(c, 0, -beside, 0, 0))
		names.Draw(draw.Crop(c, c.Size().X-beside, 0, 0, 0))
	})
}

// placesOf returns where each score stands on the axis, and the axis' ends, which are whole powers
// of ten that its ticks can name.
func placesOf(scores []Score) (places []float64, low, high float64) {
	bySize := make([]int, len(scores))
	for i := range bySize {
		bySize[i] = i
	}
	slices.SortStableFunc(bySize, func(a, b int) int { return cmp.Compare(scores[a].Parameters, scores[b].Parameters) })
	size := func(i int) float64 { return float64(max(1, scores[bySize[i]].Parameters)) } // 0 has no logarithm
	low, high = 1, 10
	for low*10 <= size(0) {
		low *= 10
	}
	for high < size(len(scores)-1) || high < 10*low {
		high *= 10
	}
	places = make([]float64, len(scores))
	step, least := math.Pow(high/low, 1.0/60), 0.0
	for i, at := range bySize {
		places[at] = max(size(i), least)
		least = places[at] * step
	}
	for high < places[bySize[len(scores)-1]] {
		high *= 10
	}
	return places, low, high
}

// sizeTicks are those of a logarithmic axis, with thousands and millions written as such.
func sizeTicks(low, high float64) []plot.Tick {
	ticks := plot.LogTicks{Prec: -1}.Ticks(low, high)
	for i, tick := range ticks {
		if tick.Label == "" {
			continue
		}
		value, unit := tick.Value, ""
		for _, larger := range []string{"k", "M", "G"} {
			if value >= 1000 {
				value, unit = value/1000, larger
			}
		}
		ticks[i].Label = strconv.FormatFloat(value, 'g', -1, 64) + unit
	}
	return ticks
}

// glyphs are told apart without colours, too.
var glyphs = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{}}

func addScore(p *plot.Plot, names *plot.Legend, i int, place float64, s Score) error {
	at := plotter.XYs{{X: place, Y: s.Mean}}
	dot, err := plotter.NewScatter(at)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Method, err)
	}
	dot.Color, dot.Shape, dot.Radius = colours[i%len(colours)], glyphs[i%len(glyphs)], vg.Points(4)
	bar, err := plotter.NewYErrorBars(struct {
		plotter.XYs
		plotter.YErrors
	}{at, plotter.YErrors{{Low: s.SD, High: s.SD}}})
	if err != nil {
		return fmt.Errorf("%s: %w", s.Method, err)
	}
	bar.Color = dot.Color
	p.Add(bar, dot)
	names.Add(s.Method, dot)
	return nil
}
