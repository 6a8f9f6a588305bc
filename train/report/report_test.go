package report

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gopeft/gopeft/train"
)

var events = []train.Event{
	{Kind: train.StepEvent, Step: 1, Loss: 1.5, LearningRate: 0.25, GradNorm: 2, TokensPerSecond: 8},
	{Kind: train.CheckpointEvent, Step: 1},
	{Kind: train.StepEvent, Step: 300, Loss: 0.5, LearningRate: 0.125, GradNorm: 1, TokensPerSecond: 16},
	{Kind: train.EvalEvent, Step: 300, Loss: 0.75, Metrics: map[string]float64{"accuracy": 0.5, "mcc": -0.25}},
}

func TestPictures(t *testing.T) {
	var h History
	for _, e := range events {
		h.Add(e)
	}
	dir := t.TempDir()
	for _, name := range []string{"curve.png", "curve.SVG"} {
		if err := h.Save(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	picture, err := os.ReadFile(filepath.Join(dir, "curve.png"))
	if err != nil {
		t.Fatal(err)
	}
	image, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	if size := image.Bounds().Size(); size.X < 600 || size.Y < 400 {
		t.Errorf("the picture has %v pixels", size)
	}
	texts := textsOf(t, filepath.Join(dir, "curve.SVG"))
	for _, want := range []string{"training", "dev", "accuracy", "mcc", "step"} {
		if !texts[want] {
			t.Errorf("the drawing lacks the text %q", want)
		}
	}
	if err := h.Save(filepath.Join(dir, "curve.gif")); !errors.Is(err, ErrPicture) {
		t.Errorf("found %v, want ErrPicture", err)
	}
	if err := (&History{}).Save(filepath.Join(dir, "none.png")); !errors.Is(err, ErrEmpty) {
		t.Errorf("found %v, want ErrEmpty", err)
	}
}

// textsOf returns the texts of a drawing.
func textsOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	drawing, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(drawing))
	texts := map[string]bool{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			texts[string(bytes.TrimSpace(text))] = true
		}
	}
	return texts
}

func TestTensorBoardFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	board, err := NewTensorBoard(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := board.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := board.Close(); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("found %v, %v", paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"step": 0, "version": "brain.Event:2"},
		{"step": 1, "train/loss": 1.5, "train/learning_rate": 0.25, "train/grad_norm": 2., "train/tokens_per_second": 8.},
		{"step": 300, "train/loss": 0.5, "train/learning_rate": 0.125, "train/grad_norm": 1., "train/tokens_per_second": 16.},
		{"step": 300, "eval/loss": 0.75, "eval/accuracy": 0.5, "eval/mcc": -0.25},
	}
	if diff := cmp.Diff(want, readEvents(t, data)); diff != "" {
		t.Error(diff)
	}
}

// The checksum of RFC 3720, B.4: 32 bytes of zeros have CRC-32C 8a9136aa.
func TestMaskedCRC(t *testing.T) {
	crc := uint32(0x8a9136aa)
	if want := (crc>>15 | crc<<17) + 0xa282ead8; maskedCRC(make([]byte, 32)) != want {
		t.Errorf("found %x, want %x", maskedCRC(make([]byte, 32)), want)
	}
}

// readEvents reads records with protobuf's own parser of the wire format.
func readEvents(t *testing.T, data []byte) []map[string]any {
	t.Helper()
	var found []map[string]any
	for len(data) > 0 {
		n := binary.LittleEndian.Uint64(data)
		if binary.LittleEndian.Uint32(data[8:]) != maskedCRC(data[:8]) {
			t.Fatal("wrong checksum of a length")
		}
		message := data[12 : 12+n]
		if binary.LittleEndian.Uint32(data[12+n:]) != maskedCRC(message) {
			t.Fatal("wrong checksum of a message")
		}
		event := map[string]any{}
		readFields(t, message, func(field protowire.Number, value any) {
			switch field {
			case 2:
				event["step"] = int(value.(uint64))
			case 3:
				event["version"] = string(value.([]byte))
			case 5:
				readFields(t, value.([]byte), func(_ protowire.Number, value any) {
					tag, number := readValue(t, value.([]byte))
					event[tag] = number
				})
			}
		})
		found = append(found, event)
		data = data[16+n:]
	}
	return found
}

func readValue(t *testing.T, message []byte) (tag string, number float64) {
	t.Helper()
	readFields(t, message, func(field protowire.Number, value any) {
		switch field {
		case 1:
			tag = string(value.([]byte))
		case 2:
			number = float64(math.Float32frombits(value.(uint32)))
		}
	})
	return tag, number
}

func readFields(t *testing.T, message []byte, f func(protowire.Number, any)) {
	t.Helper()
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		message = message[n:]
		var value any
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			value, n = protowire.ConsumeFixed64(message)
		case protowire.Fixed32Type:
			value, n = protowire.ConsumeFixed32(message)
		default:
			value, n = protowire.ConsumeBytes(message)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		f(field, value)
		message = message[n:]
	}
}

func TestScores(t *testing.T) {
	dir := t.TempDir()
	scores := []Score{
		{Method: "PROMPT_TUNING", Parameters: 7690, Mean: 0.36, SD: 0.01},
		{Method: "PREFIX_TUNING", Parameters: 43530, Mean: 0.29, SD: 0.02},
		{Method: "one run", Parameters: 200, Mean: 0.4},
	}
	path := filepath.Join(dir, "scores.svg")
	if err := SaveScores(path, "accuracy", scores); err != nil {
		t.Fatal(err)
	}
	texts := textsOf(t, path)
	for _, want := range []string{"PROMPT_TUNING", "PREFIX_TUNING", "one run", "trained parameters", "dev accuracy", "100", "1k", "100k"} {
		if !texts[want] {
			t.Errorf("the drawing lacks the text %q", want)
		}
	}
	if err := SaveScores(path, "accuracy", nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("found %v, want ErrEmpty", err)
	}
}

// TestScoresStandApart: no two dots and no two names are drawn in the same place, however alike the scores are.
func TestScoresStandApart(t *testing.T) {
	scores := []Score{
		{Method: "PREFIX_TUNING", Parameters: 92930, Mean: 0.78},
		{Method: "CARTRIDGE", Parameters: 92930, Mean: 0.78},
		{Method: "P_TUNING", Parameters: 99999, Mean: 0.78},
		{Method: "none", Parameters: 0, Mean: 0.78},
	}
	places, low, high := placesOf(scores)
	if places[3] != 1 || places[0] != 92930 {
		t.Errorf("found %v, want a score that nothing is near to where its size is, and 0 at 1", places)
	}
	slices.Sort(places)
	for i := range places[1:] {
		if share := math.Log(places[i+1]/places[i]) / math.Log(high/low); share < 0.01 {
			t.Errorf("%v and %v are %.4f of the axis apart", places[i], places[i+1], share)
		}
	}
	if low > places[0] || high < places[3] {
		t.Errorf("the axis from %v to %v does not hold %v", low, high, places)
	}
	path := filepath.Join(t.TempDir(), "scores.svg")
	if err := SaveScores(path, "accuracy", scores); err != nil {
		t.Fatal(err)
	}
	drawing, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	where := map[string]string{}
	for _, found := range regexp.MustCompile(`<text x="[^"]*" y="([^"]*)"[^>]*>([A-Za-z_]+)</text>`).FindAllStringSubmatch(string(drawing), -1) {
		if height, name := found[1], found[2]; where[height] != "" {
			t.Errorf("%s is as high as %s", name, where[height])
		} else {
			where[height] = name
		}
	}
	if len(where) < len(scores) {
		t.Errorf("found the names %v, want all methods", where)
	}
}
