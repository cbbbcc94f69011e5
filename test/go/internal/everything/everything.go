// Package everything implements the service Everything as interop.proto says.
//
// The plugin serves it; the host asks it for the answers it expects.
package everything

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"bun-plug.test/go/interop"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Handler needs no lock: the Go original serves one call at a time.
type Handler struct {
	counter uint64
}

var _ interop.Everything = (*Handler)(nil)

func (*Handler) Not(value bool) (bool, error) { return !value, nil }

func (*Handler) AddInt32(a, b int32) (int32, error)    { return a + b, nil }
func (*Handler) AddInt64(a, b int64) (int64, error)    { return a + b, nil }
func (*Handler) AddUint32(a, b uint32) (uint32, error) { return a + b, nil }
func (*Handler) AddUint64(a, b uint64) (uint64, error) { return a + b, nil }

func (*Handler) Join(parts []string, separator string) (string, error) {
	return strings.Join(parts, separator), nil
}

func (*Handler) Concat(chunks [][]byte) ([]byte, error) {
	return bytes.Join(chunks, nil), nil
}

func (*Handler) Scalars(raw []byte, b bool, i32 int32, i64 int64, u32 uint32, u64 uint64, s string) (*interop.ScalarSet, error) {
	return &interop.ScalarSet{
		BoolValue:   b,
		Int32Value:  i32,
		Int64Value:  i64,
		Uint32Value: u32,
		Uint64Value: u64,
		StringValue: s,
		BytesValue:  raw,
	}, nil
}

func (*Handler) Lists(bools []bool, int32s []int32, int64s []int64, uint32s []uint32, uint64s []uint64, texts []string, chunks [][]byte, items []*interop.Item) (*interop.ListSet, error) {
	return &interop.ListSet{
		Bools:   reversed(bools),
		Int32S:  reversed(int32s),
		Int64S:  reversed(int64s),
		Uint32S: reversed(uint32s),
		Uint64S: reversed(uint64s),
		Strings: reversed(texts),
		Chunks:  reversed(chunks),
		Items:   reversed(items),
	}, nil
}

// reversed leaves its argument alone, since the host passes its own lists.
func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func (*Handler) Maps(byBool map[bool]string, byInt32 map[int32][]byte, byInt64 map[int64]bool, byUint32 map[uint32]int64, byUint64 map[uint64]uint64, byString map[string]int32, counts map[string]uint32, items map[string]*interop.Item) (*interop.MapSet, error) {
	return &interop.MapSet{
		ByBool:   byBool,
		ByInt32:  byInt32,
		ByInt64:  byInt64,
		ByUint32: byUint32,
		ByUint64: byUint64,
		ByString: byString,
		Counts:   counts,
		Items:    items,
	}, nil
}

func (*Handler) Range(first int32, count uint32) ([]int32, error) {
	numbers := make([]int32, count)
	for i := range numbers {
		numbers[i] = first + int32(i)
	}
	return numbers, nil
}

func (*Handler) MakeItems(first, count uint32) ([]*interop.Item, error) {
	items := make([]*interop.Item, count)
	for i := range items {
		items[i] = MakeItem(first + uint32(i))
	}
	return items, nil
}

func (*Handler) IndexByName(items []*interop.Item) (map[string]*interop.Item, error) {
	index := make(map[string]*interop.Item, len(items))
	for _, item := range items {
		index[item.GetName()] = item
	}
	return index, nil
}

func (*Handler) CountRunes(text string) (map[string]uint32, error) {
	counts := make(map[string]uint32)
	for _, r := range text {
		counts[string(r)]++
	}
	return counts, nil
}

func (*Handler) MakeItem(seed uint32) (*interop.Item, error) { return MakeItem(seed), nil }

func (*Handler) IsItem(item *interop.Item, seed uint32) (bool, error) {
	return proto.Equal(item, MakeItem(seed)), nil
}

func (*Handler) EchoItem(item *interop.Item) (*interop.Item, error) { return item, nil }

// AsTime of a nil Timestamp is the epoch.
func (*Handler) Elapsed(since, until *timestamppb.Timestamp) (*durationpb.Duration, error) {
	return durationpb.New(until.AsTime().Sub(since.AsTime())), nil
}

func (*Handler) Describe(message *anypb.Any, fields *structpb.Struct, _ bool) ([]string, error) {
	names := make([]string, 0, len(fields.GetFields()))
	for key := range fields.GetFields() {
		names = append(names, key)
	}
	slices.Sort(names)
	return append([]string{string(message.MessageName())}, names...), nil
}

func (*Handler) Utf8Length(value string) (uint64, error) { return uint64(len(value)), nil }

func (*Handler) Discard([]byte) error { return nil }

func (h *Handler) Next(step uint64) (uint64, error) {
	h.counter += step
	return h.counter, nil
}

func (*Handler) Fill(count uint32) ([]byte, error) {
	data := make([]byte, count)
	for i := range data {
		data[i] = byte(i)
	}
	return data, nil
}

func (*Handler) Sum(data []byte) (uint32, error) {
	var sum uint32
	for _, b := range data {
		sum += uint32(b)
	}
	return sum, nil
}

func (*Handler) Words(class, function, new, delete, this, await, arguments, length, constructor, toString, snakeCase2, camelCase, options, context string) (string, error) {
	return strings.Join([]string{class, function, new, delete, this, await, arguments, length, constructor, toString, snakeCase2, camelCase, options, context}, " "), nil
}

func (*Handler) Then(value string) (string, error)        { return value, nil }
func (*Handler) Close(value string) (string, error)       { return value, nil }
func (*Handler) Constructor(value string) (string, error) { return value, nil }
func (*Handler) ToString(value string) (string, error)    { return value, nil }
func (*Handler) SnakeCase(value string) (string, error)   { return value, nil }

func (*Handler) Fail(text string) error { return errors.New(text) }

func (*Handler) Sleep(milliseconds uint32) (uint32, error) {
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	return milliseconds, nil
}

func (*Handler) Log(line string) error {
	fmt.Fprintln(os.Stderr, line)
	return nil
}

func (*Handler) Print(text string) error {
	fmt.Print(text)
	return nil
}

func (*Handler) Panic(text string) error { panic(text) }

func (*Handler) Exit(code uint32, text string) error {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(int(code))
	return nil
}
