package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"bun-plug.test/go/internal/everything"
	"bun-plug.test/go/internal/report"
	"bun-plug.test/go/interop"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// methods holds one check for every method, in the order of the .proto file,
// but for Print, Panic and Exit, which no plugin of the original survives.
var methods = []struct {
	name  string
	check func(p interop.Everything) error
}{
	{"Not", func(p interop.Everything) error {
		return errors.Join(is(true)(p.Not(false)), is(false)(p.Not(true)))
	}},
	{"AddInt32", func(p interop.Everything) error {
		return errors.Join(
			is[int32](-3)(p.AddInt32(-5, 2)),
			is[int32](math.MinInt32)(p.AddInt32(math.MaxInt32, 1)),
			is[int32](math.MaxInt32)(p.AddInt32(math.MinInt32, -1)),
		)
	}},
	{"AddInt64", func(p interop.Everything) error {
		return errors.Join(
			is[int64](-3)(p.AddInt64(-5, 2)),
			is[int64](1<<53+1)(p.AddInt64(1<<53, 1)), // no double holds it
			is[int64](math.MinInt64)(p.AddInt64(math.MaxInt64, 1)),
		)
	}},
	{"AddUint32", func(p interop.Everything) error {
		return errors.Join(
			is[uint32](math.MaxUint32)(p.AddUint32(math.MaxUint32, 0)),
			is[uint32](1)(p.AddUint32(math.MaxUint32, 2)),
		)
	}},
	{"AddUint64", func(p interop.Everything) error {
		return errors.Join(
			is[uint64](math.MaxUint64)(p.AddUint64(math.MaxUint64, 0)),
			is[uint64](1)(p.AddUint64(math.MaxUint64, 2)),
		)
	}},
	{"Join", func(p interop.Everything) error {
		return errors.Join(
			is("a, ü, 🔑")(p.Join([]string{"a", "ü", "🔑"}, ", ")),
			is("--")(p.Join([]string{"", "", ""}, "-")),
			is("")(p.Join(nil, "-")),
		)
	}},
	{"Concat", func(p interop.Everything) error {
		got, err := p.Concat([][]byte{{1, 2}, {}, {3}})
		return errors.Join(err, check(bytes.Equal(got, []byte{1, 2, 3}), got))
	}},
	{"Scalars", func(p interop.Everything) error {
		same := func(raw []byte, b bool, i32 int32, i64 int64, u32 uint32, u64 uint64, s string) error {
			got, err := p.Scalars(raw, b, i32, i64, u32, u64, s)
			return errors.Join(err, check(proto.Equal(got, &interop.ScalarSet{
				BytesValue: raw, BoolValue: b, Int32Value: i32, Int64Value: i64,
				Uint32Value: u32, Uint64Value: u64, StringValue: s,
			}), got))
		}
		return errors.Join(
			same(nil, false, 0, 0, 0, 0, ""),
			same([]byte{0, 255}, true, math.MinInt32, math.MinInt64, math.MaxUint32, math.MaxUint64, "ü\x00🔑"),
			same([]byte("x"), true, math.MaxInt32, math.MaxInt64, 1, 1, strings.Repeat("long ", 1000)),
		)
	}},
	{"Lists", func(p interop.Everything) error {
		items := []*interop.Item{everything.MakeItem(0), everything.MakeItem(999_999)}
		got, err := p.Lists([]bool{true, false, false}, []int32{math.MinInt32, 0, math.MaxInt32}, []int64{math.MinInt64, math.MaxInt64},
			[]uint32{0, math.MaxUint32}, []uint64{0, math.MaxUint64}, []string{"", "ü"}, [][]byte{{}, {0}}, items)
		none, noneErr := p.Lists(nil, nil, nil, nil, nil, nil, nil, nil)
		return errors.Join(err, check(proto.Equal(got, &interop.ListSet{
			Bools: []bool{false, false, true}, Int32S: []int32{math.MaxInt32, 0, math.MinInt32}, Int64S: []int64{math.MaxInt64, math.MinInt64},
			Uint32S: []uint32{math.MaxUint32, 0}, Uint64S: []uint64{math.MaxUint64, 0}, Strings: []string{"ü", ""}, Chunks: [][]byte{{0}, {}},
			Items: []*interop.Item{items[1], items[0]},
		}), got), noneErr, check(proto.Equal(none, &interop.ListSet{}), none))
	}},
	{"Maps", func(p interop.Everything) error {
		want := &interop.MapSet{
			ByBool:   map[bool]string{false: "no", true: ""},
			ByInt32:  map[int32][]byte{math.MinInt32: {}, math.MaxInt32: {1}},
			ByInt64:  map[int64]bool{math.MinInt64: true, 0: false},
			ByUint32: map[uint32]int64{math.MaxUint32: math.MinInt64},
			ByUint64: map[uint64]uint64{math.MaxUint64: math.MaxUint64, 0: 0},
			ByString: map[string]int32{"": -1, "__proto__": 1, "🔑": 0},
			Counts:   map[string]uint32{"many": math.MaxUint32},
			Items:    map[string]*interop.Item{"one": everything.MakeItem(1), "empty": {}},
		}
		got, err := p.Maps(want.ByBool, want.ByInt32, want.ByInt64, want.ByUint32, want.ByUint64, want.ByString, want.Counts, want.Items)
		return errors.Join(err, check(proto.Equal(got, want), got))
	}},
	{"Range", func(p interop.Everything) error {
		got, err := p.Range(math.MaxInt32, 2)
		none, noneErr := p.Range(5, 0)
		return errors.Join(err, noneErr, check(slices.Equal(got, []int32{math.MaxInt32, math.MinInt32}), got), check(len(none) == 0, none))
	}},
	{"MakeItems", func(p interop.Everything) error {
		got, err := p.MakeItems(10, 20)
		if err != nil || len(got) != 20 {
			return fmt.Errorf("%d items %w", len(got), err)
		}
		for i, item := range got {
			err = errors.Join(err, check(proto.Equal(item, everything.MakeItem(uint32(i)+10)), item))
		}
		return err
	}},
	{"IndexByName", func(p interop.Everything) error {
		got, err := p.IndexByName([]*interop.Item{everything.MakeItem(1), everything.MakeItem(2)})
		return errors.Join(err, check(maps.EqualFunc(got, map[string]*interop.Item{
			"item 1": everything.MakeItem(1), "item 2": everything.MakeItem(2),
		}, func(a, b *interop.Item) bool { return proto.Equal(a, b) }), got))
	}},
	{"CountRunes", func(p interop.Everything) error {
		got, err := p.CountRunes("a🔑a ")
		return errors.Join(err, check(maps.Equal(got, map[string]uint32{"a": 2, "🔑": 1, " ": 1}), got))
	}},
	{"MakeItem", func(p interop.Everything) error {
		var errs error
		for _, seed := range seeds {
			got, err := p.MakeItem(seed)
			errs = errors.Join(errs, err, check(proto.Equal(got, everything.MakeItem(seed)), got))
		}
		return errs
	}},
	{"IsItem", func(p interop.Everything) error {
		errs := is(false)(p.IsItem(everything.MakeItem(6), 7))
		for _, seed := range seeds {
			errs = errors.Join(errs, is(true)(p.IsItem(everything.MakeItem(seed), seed)))
		}
		return errs
	}},
	{"EchoItem", func(p interop.Everything) error {
		none, errs := p.EchoItem(nil)
		errs = errors.Join(errs, check(none == nil, none))
		for _, seed := range seeds {
			got, err := p.EchoItem(everything.MakeItem(seed))
			errs = errors.Join(errs, err, check(proto.Equal(got, everything.MakeItem(seed)), got))
		}
		return errs
	}},
	{"Elapsed", func(p interop.Everything) error {
		span := func(since, until *timestamppb.Timestamp, want time.Duration) error {
			got, err := p.Elapsed(since, until)
			return errors.Join(err, check(got.AsDuration() == want, got))
		}
		t := &timestamppb.Timestamp{Seconds: 1_700_000_000, Nanos: 999_999_999}
		return errors.Join(
			span(t, &timestamppb.Timestamp{Seconds: 1_700_000_001}, time.Nanosecond),
			span(t, nil, -time.Duration(1_700_000_000_999_999_999)),
			span(nil, nil, 0),
		)
	}},
	{"Describe", func(p interop.Everything) error {
		message, err := anypb.New(everything.MakeItem(3))
		if err != nil {
			return err
		}
		fields, err := structpb.NewStruct(map[string]any{"b": 1.5, "a": "text", "c": nil, "d": []any{true, map[string]any{"e": 0}}})
		if err != nil {
			return err
		}
		got, err := p.Describe(message, fields, true)
		none, noneErr := p.Describe(&anypb.Any{}, nil, false)
		return errors.Join(err, noneErr, check(slices.Equal(got, []string{"interop.Item", "a", "b", "c", "d"}), got), check(slices.Equal(none, []string{""}), none))
	}},
	{"Utf8Length", func(p interop.Everything) error {
		return errors.Join(is[uint64](7)(p.Utf8Length("aü🔑")), is[uint64](0)(p.Utf8Length("")))
	}},
	{"Discard", func(p interop.Everything) error { return errors.Join(p.Discard(make([]byte, 60_000)), p.Discard(nil)) }},
	{"Next", func(p interop.Everything) error {
		return errors.Join(
			is[uint64](0)(p.Next(0)),
			is[uint64](math.MaxUint64)(p.Next(math.MaxUint64)),
			is[uint64](1)(p.Next(2)),
		)
	}},
	// Sizes around a varint of one, two and three bytes, the page that the
	// original reads first, and 64 KiB with the frame's header.
	{"Fill", func(p interop.Everything) error {
		var errs error
		for _, size := range sizes {
			got, err := p.Fill(uint32(size))
			errs = errors.Join(errs, err, check(bytes.Equal(got, pattern(size)), len(got)))
		}
		return errs
	}},
	{"Sum", func(p interop.Everything) error {
		var errs error
		for _, size := range sizes {
			want, _ := new(everything.Handler).Sum(pattern(size))
			errs = errors.Join(errs, is(want)(p.Sum(pattern(size))))
		}
		return errs
	}},
	{"Words", func(p interop.Everything) error {
		return is("a b c d e f g h i j k l m n")(p.Words("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"))
	}},
	{"Then", func(p interop.Everything) error { return is("t")(p.Then("t")) }},
	{"Close", func(p interop.Everything) error { return is("c")(p.Close("c")) }},
	{"Constructor", func(p interop.Everything) error { return is("n")(p.Constructor("n")) }},
	{"ToString", func(p interop.Everything) error { return is("s")(p.ToString("s")) }},
	{"snake_case", func(p interop.Everything) error { return is("_")(p.SnakeCase("_")) }},
	{"Sleep", func(p interop.Everything) error {
		start := time.Now()
		err := is[uint32](30)(p.Sleep(30))
		return errors.Join(err, check(time.Since(start) >= 30*time.Millisecond, time.Since(start)))
	}},
	{"Log", func(p interop.Everything) error { return p.Log("a line") }},
}

var (
	seeds = []uint32{0, 1, 2, 3, 127, 128, 65_535, 999_998, 1_000_000}
	sizes = []int{0, 1, 121, 122, 123, 127, 128, 4_087, 4_088, 4_089, 4_090, 4_091, 4_096, 16_383, 16_384, 60_000, 65_520}
)

func pattern(size int) []byte {
	data, _ := new(everything.Handler).Fill(uint32(size))
	return data
}

// is makes a check of a call's result: is(3)(plugin.AddInt32(1, 2)).
func is[T comparable](want T) func(got T, err error) error {
	return func(got T, err error) error {
		if err != nil {
			return err
		}
		return report.Check("result", got, want)
	}
}

func check(ok bool, got any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("unexpected result: %.300v", got)
}
