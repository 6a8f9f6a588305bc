package report

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/gopeft/gopeft/hfio"
)

var (
	// ErrPicture: a picture format other than PNG and SVG.
	ErrPicture = errors.New("unknown picture format")
	// ErrEmpty: a history without a step.
	ErrEmpty = errors.New("nothing to draw")
)

const (
	width      = 8 * vg.Inch
	halfHeight = 3.2 * vg.Inch
)

// colours are told apart in grey and by people who see few colours.
var colours = []color.Color{
	color.RGBA{R: 0, G: 114, B: 178, A: 255},
	color.RGBA{R: 213, G: 94, B: 0, A: 255},
	color.RGBA{R: 0, G: 158, B: 115, A: 255},
	color.RGBA{R: 204, G: 121, B: 167, A: 255},
	color.RGBA{R: 86, G: 180, B: 233, A: 255},
	color.RGBA{R: 230, G: 159, B: 0, A: 255},
}

// Save draws the losses, and below them the metrics where there are any, into a .png
// or .svg file.
func (h *History) Save(path string) error {
	if len(h.Loss)+len(h.DevLoss) == 0 {
		return fmt.Errorf("%s: %w", path, ErrEmpty)
	}
	plots, err := h.plots()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return save(path, halfHeight*vg.Length(len(plots)), func(c draw.Canvas) { drawAll(plots, c) })
}

// save draws into a .png or .svg file.
func save(path string, height vg.Length, drawing func(draw.Canvas)) error {
	var b bytes.Buffer
	var err error
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png":
		c := vgimg.New(width, height)
		drawing(draw.New(c))
		_, err = vgimg.PngCanvas{Canvas: c}.WriteTo(&b)
	case ".svg":
		c := vgsvg.New(width, height)
		drawing(draw.New(c))
		_, err = c.WriteTo(&b)
	default:
		err = fmt.Errorf("%w: want .png or .svg", ErrPicture)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return hfio.WriteFile(path, b.Bytes())
}

// plots makes one plot of the losses and one of the metrics.
func (h *History) plots() ([]*plot.Plot, error) {
	loss := newPlot("loss")
	err := errors.Join(addLine(loss, "training", h.Loss, 0, false), addLine(loss, "dev", h.DevLoss, 1, true))
	if len(h.Metrics) == 0 {
		return []*plot.Plot{loss}, err
	}
	metrics := newPlot("dev metrics")
	metrics.Legend.Top = false // good metrics go up
	for i, name := range h.names() {
		err = errors.Join(err, addLine(metrics, name, h.Metrics[name], i, true))
	}
	// One above the other, the same step shall be in the same place.
	loss.X.Min, loss.X.Max = min(loss.X.Min, metrics.X.Min), max(loss.X.Max, metrics.X.Max)
	metrics.X.Min, metrics.X.Max = loss.X.Min, loss.X.Max
	return []*plot.Plot{loss, metrics}, err
}

func newPlot(values string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "step", values
	p.Legend.Top, p.Legend.XOffs = true, -vg.Points(12)
	p.Add(plotter.NewGrid())
	return p
}

func addLine(p *plot.Plot, name string, points []Point, colour int, dots bool) error {
	if len(points) == 0 {
		return nil
	}
	xys := make(plotter.XYs, len(points))
	for i, point := range points {
		xys[i] = plotter.XY{X: float64(point.Step), Y: point.Value}
	}
	line, err := plotter.NewLine(xys)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	line.Color = colours[colour%len(colours)]
	p.Add(line)
	p.Legend.Add(name, line)
	if dots {
		scatter, err := plotter.NewScatter(xys)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		scatter.Color, scatter.Shape = line.Color, draw.CircleGlyph{}
		p.Add(scatter)
	}
	return nil
}

// drawAll draws the plots below each other, their axes aligned.
func drawAll(plots []*plot.Plot, canvas draw.Canvas) {
	rows := make([][]*plot.Plot, len(plots))
	for i, p := range plots {
		rows[i] = []*plot.Plot{p}
	}
	tiles := draw.Tiles{Rows: len(plots), Cols: 1, PadY: vg.Points(10), PadX: vg.Points(4), PadTop: vg.Points(6), PadRight: vg.Points(16)}
	for i, row := range plot.Align(rows, tiles, canvas) {
		plots[i].Draw(row[0])
	}
}
