// The protobuf messages of the protocol itself, by hand: they are few and small.
// PROTOCOL.md, sections 3 and 6.

package main

import (
	"cmp"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a message that has been decoded as far as that goes without its type.
type message []field

// field is one field: number for a varint, bytes for what has a length; other types are not used.
type field struct {
	id     protowire.Number
	number uint64
	bytes  []byte
}

func decode(encoded []byte) (message, error) {
	var m message
	for len(encoded) > 0 {
		id, wireType, n := protowire.ConsumeTag(encoded)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		encoded = encoded[n:]
		f := field{id: id}
		switch wireType {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(encoded)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(encoded)
		default:
			n = protowire.ConsumeFieldValue(id, wireType, encoded)
		}
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		encoded = encoded[n:]
		m = append(m, f)
	}
	return m, nil
}

// last returns the last field of this id, which is what counts, or an empty one.
func (m message) last(id protowire.Number) (found field) {
	for _, f := range m {
		if f.id == id {
			found = f
		}
	}
	return found
}

func (m message) text(id protowire.Number) string   { return string(m.last(id).bytes) }
func (m message) number(id protowire.Number) uint32 { return uint32(m.last(id).number) }

func (m message) numbers(id protowire.Number) (all []uint32) {
	for _, f := range m {
		if f.id == id {
			all = append(all, uint32(f.number))
		}
	}
	return all
}

func (m message) messages(id protowire.Number) (all []message, err error) {
	for _, f := range m {
		if f.id != id {
			continue
		}
		inner, err := decode(f.bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, inner)
	}
	return all, nil
}

func appendString(out []byte, id protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(out, id, protowire.BytesType), value)
}

func appendBytes(out []byte, id protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, id, protowire.BytesType), value)
}

func appendNumber(out []byte, id protowire.Number, value uint32) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, id, protowire.VarintType), uint64(value))
}

// callError is how a call fails; handlers return one to choose its code.
type callError struct{ code, message string }

func (e *callError) Error() string { return e.code + ": " + e.message }

func callErrorf(code, format string, args ...any) *callError {
	return &callError{code, fmt.Sprintf(format, args...)}
}

const maxErrorChars = 8_192

func (e *callError) encode() []byte {
	message := strings.ToValidUTF8(e.message, "\uFFFD")
	if chars := []rune(message); len(chars) > maxErrorChars {
		message = fmt.Sprintf("%s … (%d left out)", string(chars[:maxErrorChars]), len(chars)-maxErrorChars)
	}
	return appendString(appendString(nil, 1, e.code), 2, message)
}

// limits are what one side accepts.
type limits struct {
	messageBytes          uint32
	calls                 uint32
	streamWindowBytes     uint32
	connectionWindowBytes uint32
	streams               uint32
	nestedCalls           uint32
	metadataBytes         uint32
}

func (l *limits) all() []*uint32 {
	return []*uint32{
		&l.messageBytes, &l.calls, &l.streamWindowBytes, &l.connectionWindowBytes,
		&l.streams, &l.nestedCalls, &l.metadataBytes,
	}
}

var defaultLimits = limits{64 << 20, 16_384, 256 << 10, 16 << 20, 4_096, 16_384, 8 << 10}

func (l limits) encode() []byte {
	var out []byte
	for i, limit := range l.all() {
		out = appendNumber(out, protowire.Number(i+1), *limit)
	}
	return out
}

// decodeLimits takes what is not said, which is 0, for the default.
func decodeLimits(encoded []byte) (limits, error) {
	l := defaultLimits
	m, err := decode(encoded)
	for i, limit := range l.all() {
		*limit = cmp.Or(m.number(protowire.Number(i+1)), *limit)
	}
	return l, err
}

// entry is one name of metadata, and a value.
type entry struct {
	name  string
	value []byte
}

func encodeMetadata(entries []entry) []byte {
	var out []byte
	for _, e := range entries {
		out = appendBytes(out, 1, appendBytes(appendString(nil, 1, e.name), 2, e.value))
	}
	return out
}

func decodeMetadata(encoded []byte) ([]entry, error) {
	m, err := decode(encoded)
	if err != nil {
		return nil, err
	}
	var entries []entry
	all, err := m.messages(1)
	for _, inner := range all {
		e := entry{inner.text(1), inner.last(2).bytes}
		if e.name == "" || len(e.name) > 256 || strings.Trim(e.name, metadataNameChars) != "" {
			return nil, fmt.Errorf("%q is no name", e.name)
		}
		entries = append(entries, e)
	}
	return entries, err
}

const metadataNameChars = "abcdefghijklmnopqrstuvwxyz0123456789-_."
