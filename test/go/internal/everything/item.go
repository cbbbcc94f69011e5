package everything

import (
	"bytes"
	"fmt"

	"bun-plug.test/go/interop"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// MakeItem makes the item of a seed, by the table in interop.proto.
func MakeItem(seed uint32) *interop.Item {
	n := int64(seed)
	odd := n%2 == 1
	sign := int64(1)
	if odd {
		sign = -1
	}
	item := &interop.Item{
		Name:          fmt.Sprintf("item %d", n),
		DoubleValue:   float64(n) + 0.5,
		FloatValue:    float32(n) / 4,
		Int32Value:    int32(-n),
		Int64Value:    -n << 32,
		Uint32Value:   seed,
		Uint64Value:   uint64(n) << 40,
		Sint32Value:   int32(sign * n),
		Sint64Value:   sign * n << 32,
		Fixed32Value:  seed,
		Fixed64Value:  uint64(n) << 40,
		Sfixed32Value: int32(-n),
		Sfixed64Value: -n << 32,
		BoolValue:     odd,
		BytesValue:    bytes.Repeat([]byte{byte(n)}, int(n%16)),
		Mood:          []interop.Mood{interop.Mood_MOOD_UNSPECIFIED, interop.Mood_MOOD_CALM, interop.Mood_MOOD_CROSS}[n%3],
		Numbers:       []int64{-n, 0, n},
		PackedFloats:  []float32{float32(n) / 4, float32(n) / 2},
		Moods:         []interop.Mood{interop.Mood_MOOD_CROSS, interop.Mood_MOOD_CALM},
		Tags:          []string{fmt.Sprintf("a%d", n), fmt.Sprintf("b%d", n)},
		Weights:       map[string]float64{"half": float64(n) / 2},
		MoodByKey:     map[int32]interop.Mood{int32(-n): interop.Mood_MOOD_CROSS},
		Path:          []*interop.Point{{X: int32(n), Y: int32(-n)}, {}},
		At:            &timestamppb.Timestamp{Seconds: n, Nanos: int32(n)},
	}
	switch n % 4 {
	case 1:
		item.Choice = &interop.Item_Text{Text: fmt.Sprintf("choice %d", n)}
	case 2:
		item.Choice = &interop.Item_Child{Child: &interop.Item{Name: fmt.Sprintf("child %d", n)}}
	case 3:
		item.Choice = &interop.Item_Number{Number: uint64(n)}
	}
	return item
}
