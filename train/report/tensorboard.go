package report

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gopeft/gopeft/train"
)

// TensorBoard writes a run's values into an event file: TFRecords of Event messages
// with simple values, which TensorBoard shows as scalars.
// Source: tensorflow/core/lib/io/record_writer.h and tensorflow/core/util/event.proto.
type TensorBoard struct {
	file io.WriteCloser
	now  func() time.Time
}

// NewTensorBoard makes an event file in a directory, which it makes where needed.
// Files of earlier runs there stay; TensorBoard reads all of them.
func NewTensorBoard(dir string) (*TensorBoard, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	started := time.Now()
	name := fmt.Sprintf("events.out.tfevents.%d.%d.gopeft", started.Unix(), started.Nanosecond())
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	t := &TensorBoard{file: file, now: time.Now}
	version := appendBytes(t.header(0), fileVersionField, []byte("brain.Event:2"))
	if err := t.write(version); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return t, nil
}

// Add writes the values of an event: train/loss, train/learning_rate,
// train/grad_norm and train/tokens_per_second of a step, eval/… of an evaluation.
func (t *TensorBoard) Add(e train.Event) error {
	values := map[string]float64{}
	switch e.Kind {
	case train.StepEvent:
		values["train/loss"], values["train/learning_rate"] = e.Loss, e.LearningRate
		values["train/grad_norm"], values["train/tokens_per_second"] = e.GradNorm, e.TokensPerSecond
	case train.EvalEvent:
		values["eval/loss"] = e.Loss
		for name, value := range e.Metrics {
			values["eval/"+name] = value
		}
	default:
		return nil
	}
	var summary []byte
	for _, tag := range slices.Sorted(maps.Keys(values)) {
		value := appendBytes(nil, tagField, []byte(tag))
		value = binary.AppendUvarint(value, simpleValueField<<3|fixed32)
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(float32(values[tag])))
		summary = appendBytes(summary, valueField, value)
	}
	return t.write(appendBytes(t.header(e.Step), summaryField, summary))
}

// Close closes the file.
func (t *TensorBoard) Close() error { return t.file.Close() }

// Fields of the messages Event, Summary and Summary.Value, and wire types.
const (
	wallTimeField, stepField, fileVersionField, summaryField = 1, 2, 3, 5
	valueField                                               = 1
	tagField, simpleValueField                               = 1, 2

	varint, fixed64, lengthDelimited, fixed32 = 0, 1, 2, 5
)

// header begins an Event with its time and step.
func (t *TensorBoard) header(step int) []byte {
	seconds := float64(t.now().UnixNano()) / 1e9
	b := binary.AppendUvarint(nil, wallTimeField<<3|fixed64)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(seconds))
	b = binary.AppendUvarint(b, stepField<<3|varint)
	return binary.AppendUvarint(b, uint64(step))
}

func appendBytes(b []byte, field uint64, data []byte) []byte {
	b = binary.AppendUvarint(b, field<<3|lengthDelimited)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

// write puts one record into the file: its length, the checksum of the length, the
// data, the checksum of the data.
func (t *TensorBoard) write(data []byte) error {
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(record))
	record = append(record, data...)
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(data))
	_, err := t.file.Write(record)
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is TFRecord's checksum: CRC-32C, rotated and shifted so that a checksum of
// data that hold checksums is no weaker.
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}
